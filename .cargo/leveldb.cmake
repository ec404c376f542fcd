# leveldb-sys probes for clang's -Wthread-safety with warnings switched off by the `cc` crate, so that g++ seems to
# know the flag and then refuses it. The annotation check is clang's alone and of no use in a dependency: answer "no".
set(HAVE_CLANG_THREAD_SAFETY OFF CACHE BOOL "clang's thread safety analysis")
