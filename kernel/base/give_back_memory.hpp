// For what has just freed much and may allocate little for long.
#pragma once

namespace mansio {

// What the allocator keeps for later goes back to the system now. It takes some tenths of a millisecond for each
// megabyte, so not on a thread that others wait for; they can go on allocating meanwhile. Does nothing where the
// allocator is not jemalloc.
void give_back_memory();

// What the calling thread keeps for itself goes back to the allocator: some microseconds. Then give_back_memory() finds
// it, from whichever thread.
void give_back_thread_cache();

}  // namespace mansio
