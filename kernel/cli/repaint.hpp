// Repaint: a terminal's other screen, painted anew from time to time. It is left, and the cursor shown again, however
// the program ends that can be caught: SIGINT and SIGTERM end the waiting.
#pragma once

#include <csignal>
#include <string>
#include <string_view>

namespace mansio::cli {

class Repaint {
 public:
  Repaint();
  ~Repaint();
  Repaint(const Repaint &) = delete;
  Repaint &operator=(const Repaint &) = delete;

  struct Size {
    unsigned columns = 80, rows = 24;
  };
  Size size() const;
  void paint(std::string_view text);
  bool wait(double seconds);  // false: it is time to end; true also when the terminal's size changed

 private:
  sigset_t signals_{}, before_{};
};

// `text` as it goes to the screen: in place of what was there, each line to the end of its line.
std::string painted(std::string_view text);

}  // namespace mansio::cli
