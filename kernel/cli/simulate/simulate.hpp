// `mansio simulate SCENARIO.toml [--csv FILE] [--svg FILE]`
#pragma once

namespace mansio::cli {

int simulate_main(int argc, char **argv);

}  // namespace mansio::cli
