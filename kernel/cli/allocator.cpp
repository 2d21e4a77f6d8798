// How the program's allocator behaves: jemalloc reads these words at its first allocation (jemalloc(3), TUNING). A
// process has one busy thread, two at most, which each have a cache: more arenas than one only scatter what they hold.
// Memory that was freed goes back to the system about a second later, once something is allocated. The replay's of a
// restart, which is as large as the index, does not wait for that: give_back_memory().
extern "C" {
__attribute__((visibility("default"))) extern const char *malloc_conf;
const char *malloc_conf = "narenas:1,dirty_decay_ms:1000,muzzy_decay_ms:0";
}
