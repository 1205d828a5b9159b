//! Records what passes between clients and a server, for the corpus that the parsers are fuzzed with.
//!
//! `cargo run -p deadheat-gate --example record -- HOST:PORT FOLDER` prints the address to connect to; the bytes of the
//! n-th connection go to `n.client` and `n.server`.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: record HOST:PORT FOLDER";
    let (server, folder) = (
        arguments.next().ok_or(usage)?,
        PathBuf::from(arguments.next().ok_or(usage)?),
    );
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve(&server, folder))
}

async fn serve(server: &str, folder: PathBuf) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    for number in 1.. {
        let (client, _) = listener.accept().await?;
        let server = TcpStream::connect(server).await?;
        let file = |side| File::create(folder.join(format!("{number}.{side}")));
        let (up, down) = (file("client")?, file("server")?);
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::spawn(copy(from_client, to_server, up));
        tokio::spawn(copy(from_server, to_client, down));
    }
    Ok(())
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut file: File,
) -> Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(to.shutdown().await?);
        }
        file.write_all(&buffer[..count])?;
        to.write_all(&buffer[..count]).await?;
    }
}
