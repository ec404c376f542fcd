//! Verification, signing and key generation at lifetime 2^32, beside raw blst verification; ratios at the end.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run fails")]

use criterion::{Criterion, Throughput};
use std::hint::black_box;
use std::time::{Duration, Instant};
use xmss::{Message, Production, SecretKey, Seed, Signature, Signed};

const DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
const BATCH: usize = 64;
const BATCH_RUNS: usize = 200;
/// Leaves of one bottom tree.
const LEAVES: u64 = 1 << 16;

fn message(number: usize) -> Message {
    std::array::from_fn(|index| (number >> (8 * (index % 8))) as u8)
}

/// Median time of one call.
fn median(runs: usize, mut call: impl FnMut(usize)) -> Duration {
    let mut times: Vec<Duration> = (0..runs)
        .map(|run| {
            let start = Instant::now();
            call(run);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[runs / 2]
}

struct BatchTime {
    median: Duration,
    least: Duration,
}

/// Time of a batch on one core and on all of them. The two take turns, so that what else the machine does hits both.
fn batch_times(verify: impl Fn() + Send + Sync) -> (BatchTime, BatchTime) {
    let one_core = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for _ in 0..BATCH_RUNS {
        // Into the pool before the clock starts: threads that sleep take a while to wake up.
        for (times, pool) in [(&mut alone, Some(&one_core)), (&mut together, None)] {
            let timed = || {
                let start = Instant::now();
                verify();
                start.elapsed()
            };
            times.push(match pool {
                Some(pool) => pool.install(timed),
                None => rayon::scope(|_| timed()),
            });
        }
    }
    let summary = |mut times: Vec<Duration>| {
        times.sort_unstable();
        BatchTime {
            median: times[times.len() / 2],
            least: times[0],
        }
    };
    (summary(alone), summary(together))
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let start = Instant::now();
    let key = SecretKey::<Production>::generate(&Seed::from_bytes(&[1; 32]), 0..LEAVES, &|_| ()).unwrap();
    let per_leaf = start.elapsed() / LEAVES as u32;
    let public_key = key.public_key();
    let signatures: Vec<Signature<Production>> = (0..BATCH)
        .map(|index| key.sign(index as u32, &message(index)).unwrap())
        .collect();
    let messages: Vec<Message> = (0..BATCH).map(message).collect();
    let signed: Vec<Signed<'_, Production>> = signatures
        .iter()
        .zip(&messages)
        .enumerate()
        .map(|(leaf, (signature, message))| Signed {
            public_key: &public_key,
            leaf: leaf as u32,
            message,
            signature,
        })
        .collect();

    let bls = blst::min_pk::SecretKey::key_gen(&[1; 32], &[]).unwrap();
    let bls_public = bls.sk_to_pk();
    let bls_signature = bls.sign(&messages[0], DST, &[]);
    let verify_bls = || {
        let verdict = bls_signature.verify(true, &messages[0], DST, &[], &bls_public, false);
        assert_eq!(black_box(verdict), blst::BLST_ERROR::BLST_SUCCESS);
    };
    let verify_xmss = |index: usize| {
        public_key
            .verify(index as u32, &messages[index], &signatures[index])
            .unwrap()
    };

    let mut group = criterion.benchmark_group("verification");
    group.bench_function("blst", |bencher| bencher.iter(verify_bls));
    group.bench_function("xmss", |bencher| bencher.iter(|| verify_xmss(7)));
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("xmss, batch of 64", |bencher| {
        bencher.iter(|| xmss::verify_batch(black_box(&signed)).unwrap());
    });
    group.finish();

    let blst_time = median(200, |_| verify_bls());
    let verify = median(256, |run| verify_xmss(run % BATCH));
    let batch = median(10, |_| xmss::verify_batch(&signed).unwrap());
    let (one_core, all_cores) = batch_times(|| xmss::verify_batch(black_box(&signed)).unwrap());
    let sign = median(200, |run| {
        black_box(key.sign(run as u32, &message(1000 + run)).unwrap());
    });
    let ratio = |time: Duration| time.as_secs_f64() / blst_time.as_secs_f64();
    println!("blst verification        {blst_time:>12.1?}");
    println!(
        "xmss verification        {verify:>12.1?}   {:.2} of blst",
        ratio(verify)
    );
    println!(
        "xmss, each of a batch    {:>12.1?}   {:.2} of blst",
        batch / BATCH as u32,
        ratio(batch / BATCH as u32)
    );
    println!(
        "batch of {BATCH}, one core    {:>10.1?} median, {:>10.1?} least",
        one_core.median, one_core.least
    );
    println!(
        "batch of {BATCH}, {} cores     {:>10.1?} median, {:>10.1?} least: {:.2} and {:.2} times as fast",
        rayon::current_num_threads(),
        all_cores.median,
        all_cores.least,
        one_core.median.as_secs_f64() / all_cores.median.as_secs_f64(),
        one_core.least.as_secs_f64() / all_cores.least.as_secs_f64(),
    );
    println!("xmss signing (median)    {sign:>12.1?}   {:.2} of blst", ratio(sign));
    println!(
        "xmss key generation/leaf {per_leaf:>12.1?}   {:.2} of blst",
        ratio(per_leaf)
    );
}
