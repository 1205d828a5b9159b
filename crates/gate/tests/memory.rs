//! Memory stays bounded, however long the rows, the copies and the notices are. Alone in its process, which it measures.

mod common;

use common::{Lab, Policy, Server, Wire, execute, in_time, message, parse, query, sync};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What the gate may need for all of it: two replies that are held, two buffers, and the allocator's ways.
const ROOM: u64 = 96 * 1024 * 1024;

/// The most memory this process ever had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.expect("a size") * 1024
}

/// Reads to the ReadyForQuery without keeping anything; returns how many bytes came.
async fn drain(wire: &mut Wire) -> u64 {
    let mut total = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let tag = wire.stream.read_u8().await.expect("a tag");
        let mut left = u64::from(wire.stream.read_u32().await.expect("a length") - 4);
        total += left + 5;
        while left > 0 {
            let most = buffer.len().min(left as usize);
            left -= wire.stream.read(&mut buffer[..most]).await.expect("bytes") as u64;
        }
        match tag {
            b'Z' => return total,
            b'E' => panic!("an error"),
            _ => {}
        }
    }
}

/// Runs a statement with a parameter of this length, which is never there as a whole.
async fn long_parameter(wire: &mut Wire, length: u32) {
    const BLOCK: u32 = 1_000_000;
    let names = b"\0\0\0\0\0\x01";
    let all = 4 + names.len() as u32 + 4 + length + 2;
    let head = [&b"B"[..], &all.to_be_bytes(), names, &length.to_be_bytes()].concat();
    wire.send(&[parse("", "select length($1::text)"), head].concat())
        .await;
    let block = vec![b'p'; BLOCK as usize];
    for _ in 0..length / BLOCK {
        in_time(wire.stream.write_all(&block))
            .await
            .expect("written");
    }
    wire.send(&[vec![0, 0], execute("", 0), sync()].concat())
        .await;
    in_time(drain(wire)).await;
}

#[tokio::test]
async fn a_hundred_megabytes_each_way_need_little_memory() {
    const HUNDRED: u64 = 100_000_000;
    let server = Server::shared();
    let database = server.database().await;
    let mut direct = Wire::tcp(server.addr(), &database).await;
    direct.run("create unlogged table big (v text)").await;
    let before = peak();
    for policy in Policy::ALL {
        let lab = Lab::open(server.unix(), policy).await;
        let mut wire = in_time(Wire::tcp(lab.gate.addr(), &database)).await;
        for sql in [
            // One row; many rows; many notices.
            "select repeat('x', 100000000)",
            "select repeat('x', 1000) from generate_series(1, 100000)",
            "do $$ begin for n in 1..100000 loop raise notice '%', repeat('n', 1000); end loop; end $$",
        ] {
            wire.send(&query(sql)).await;
            let came = in_time(drain(&mut wire)).await;
            assert!(came >= HUNDRED, "{came} bytes of {sql}");
        }
        // A parameter of this size a lab has to hold.
        if policy == Policy::Watch {
            long_parameter(&mut wire, HUNDRED as u32).await;
        }
        wire.send(&query("copy big from stdin")).await;
        assert_eq!(wire.until(b'G').await.len(), 1);
        let line = [vec![b'y'; 999], vec![b'\n']].concat();
        let block = message(b'd', &line.repeat(1000));
        for _ in 0..100 {
            in_time(wire.stream.write_all(&block))
                .await
                .expect("written");
        }
        wire.send(&message(b'c', &[])).await;
        in_time(drain(&mut wire)).await;
        wire.send(&query("copy big to stdout")).await;
        assert!(in_time(drain(&mut wire)).await >= HUNDRED);
        direct.run("truncate big").await;
    }
    let more = peak() - before;
    assert!(more < ROOM, "{more} bytes more");
}
