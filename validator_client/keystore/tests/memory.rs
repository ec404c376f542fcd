//! Memory after unlocking keys; alone in its process, because it measures the process.
#![cfg(target_os = "linux")]

use keystore::{Kdf, Password};

#[test]
fn unlocking_leaves_no_big_heap_behind() {
    fn resident_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
    let before = resident_kib();
    let password = Password::new("x");
    // 16 MiB is the size that an allocator likes to keep; from several threads, as a client may do it.
    for n in [1 << 14, 1 << 15, 1 << 18] {
        let threads: Vec<_> = (0..4)
            .take(if n == 1 << 18 { 1 } else { 4 })
            .map(|_| {
                let password = password.clone();
                std::thread::spawn(move || {
                    Kdf::Scrypt {
                        n,
                        r: 8,
                        p: 1,
                        salt: vec![1; 32],
                    }
                    .derive(&password)
                    .unwrap();
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
    let grown = resident_kib().saturating_sub(before);
    println!("resident memory grew by {grown} KiB");
    assert!(grown < 8 * 1024, "resident memory grew by {grown} KiB");
}
