// `mansio spool check|dump`: looks into a spool that no Mansio runs on; `bench` measures its disk, `restore` fills that
// of a Mansio that runs.
#pragma once

namespace mansio::cli {

// argv[0] is "spool". Exit status: 0 intact, 1 damaged or not found, 2 the spool cannot be read.
int spool_main(int argc, char **argv);

}  // namespace mansio::cli
