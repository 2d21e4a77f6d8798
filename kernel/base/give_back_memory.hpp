// For what has just freed much and may allocate little for long.
#pragma once

namespace mansio {

// What the allocator keeps for later goes back to the system now. It takes some tenths of a millisecond for each
// megabyte, so not on a thread that others wait for; they can go on allocating meanwhile. Does nothing where the
// allocator is not jemalloc.
void give_back_memory();

}  // namespace mansio
