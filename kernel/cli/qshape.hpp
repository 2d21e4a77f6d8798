// `mansio qshape`: whose mail waits, and for how long it has, with the options and in the form of Postfix's qshape(1).
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "kernel/cli/instance.hpp"
#include "kernel/cli/shape_table.hpp"

namespace mansio::cli {

struct ShapeOrder {
  ShapeForm form;
  std::vector<std::string> queues;  // none: incoming and active; a path stands for its last name
  bool senders = false;             // else recipients
  bool destinations = false;        // by what the scheduler takes for one, instead of by domain
  bool json = false;
  bool watch = false;  // paints the screen again and again, until SIGINT or SIGTERM
  double every = 2;    // seconds
};
void add_shape_options(CLI::App &command, ShapeOrder &order);
int qshape_main(const Where &where, ShapeOrder order);

}  // namespace mansio::cli
