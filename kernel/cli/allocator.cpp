// How the program's allocator behaves: jemalloc reads these words at its first allocation (jemalloc(3), TUNING). A
// process has one busy thread, two at most, which each have a cache: more arenas than one only scatter what they hold.
// Memory that was freed goes back to the system about a second later, but only while something is allocated: pieces of
// a megabyte and more, which a table leaves behind when it grows, go back at once. The replay's of a restart, which is
// as large as the index and comes in small pieces, does not wait for the next allocations: give_back_memory().
extern "C" {
__attribute__((visibility("default"))) extern const char *malloc_conf;
const char *malloc_conf = "narenas:1,dirty_decay_ms:1000,muzzy_decay_ms:0,oversize_threshold:1048576";
}
