//! Holds a server, a database and a service until it is ended: what the tests end it with is their business.
//!
//! Arguments: how to end (`signals`: clean up on signals; `panic`: panic when told so on standard input; `exit`:
//! return when told so), and optionally the address of a named server. Prints one line when everything stands:
//! the folder or address of the server, the process id of the service.

use std::error::Error;
use std::io::{Write, stdin, stdout};

use deadheat_sandbox::{PrivateOptions, Server, Spawn, Written, end_on_signals};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let how = arguments.next().unwrap_or_default();
    if how == "signals" {
        end_on_signals()?;
    }
    let server = match arguments.next() {
        Some(url) => Server::named(&url, false).await?,
        None => Server::private(&PrivateOptions::default()).await?,
    };
    let mut database = server.create().await?;
    database
        .run_sql(
            "setup",
            "create table t (id int primary key); insert into t values (1)",
        )
        .await?;
    database.snapshot().await?;
    database.control().batch_execute("delete from t").await?;
    database.reset(&Written::Everything).await?;
    // The second one leaves its group and session, as daemons do.
    let service = Spawn::new("sleep 300 & setsid sleep 301 & wait", "/").start()?;
    let folder = server
        .log()
        .map(|log| log.display().to_string())
        .unwrap_or_default();
    println!("{folder} {} {}", service.id(), database.name());
    stdout().flush()?;
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    assert!(how != "panic", "as told");
    Ok(())
}
