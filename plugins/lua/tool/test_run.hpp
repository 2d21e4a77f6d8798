// `mansio lua test`: finds files of tests, runs their cases one after the other, and says how that went.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

namespace mansio::lua::tool {

struct TestOrder {
  std::vector<std::string> paths;  // directories, searched for *_test.lua at any depth, and files of any name
  std::string only;                // cases whose name has this in it; "": all
  bool update = false;             // golden files are written
};

// Status 0 when there were cases and all passed, else 1.
int run_tests(const TestOrder &order, std::FILE *out);

}  // namespace mansio::lua::tool
