// For what has freed much and may allocate little for long.
#pragma once

namespace mansio {

// What the allocator keeps for later goes back to the system now. It takes some tenths of a millisecond for each
// megabyte, so not on a thread that others wait for; they can go on allocating meanwhile. Does nothing where the
// allocator is not jemalloc.
void give_back_memory();

// The same for what has been unused for a while. The allocator does that itself, but only as long as somebody
// allocates: whoever may stand idle calls this from time to time. It costs next to nothing where there is nothing to
// give.
void give_back_old_memory();

// What the calling thread keeps for itself goes back to the allocator: some microseconds.
void give_back_thread_cache();

}  // namespace mansio
