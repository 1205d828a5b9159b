//! Encryption: to a server that has it, to clients that ask for it, and what cannot cross.

mod common;

use std::sync::Arc;

use common::{Lab, Message, Policy, Server, Wire, in_time, query, run, startup, sync, tags};
use deadheat_gate::{Door, ToClients, ToServer, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Trusts the owner of this certificate and nobody else.
fn trusting(pem: &str, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
    roots.add(certificate).expect("a root");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

fn name(name: &'static str) -> ServerName<'static> {
    ServerName::try_from(name).expect("a name")
}

fn encrypted(server: &Server, called: &'static str) -> Upstream {
    let tls = ToServer::new(name(called), trusting(server.certificate(), &[]));
    Upstream::Tls(server.addr(), tls)
}

/// What a client sees of a server.
async fn conversation(mut wire: Wire) -> Vec<Message> {
    let mut seen = wire
        .run("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
        .await;
    wire.send(&[run("select $1::text", &[Some("x")]), sync()].concat())
        .await;
    seen.extend(wire.until(b'Z').await);
    seen.extend(wire.run("select repeat('y', 3000000)").await);
    seen
}

#[tokio::test]
async fn the_gate_encrypts_towards_the_server_and_changes_nothing_else() {
    let server = Server::shared();
    let mut stream = TcpStream::connect(server.addr()).await.expect("a server");
    stream.write_all(&SSL_REQUEST).await.expect("written");
    assert_eq!(stream.read_u8().await.expect("an answer"), b'S');
    let connector = TlsConnector::from(trusting(server.certificate(), &[]));
    let stream = connector.connect(name("localhost"), stream).await;
    let stream = stream.expect("a handshake");
    let direct = in_time(Wire::on(Box::new(stream), "postgres")).await;
    let expected = in_time(conversation(direct)).await;
    for policy in [Policy::Bare, Policy::Gap] {
        let lab = Lab::open(encrypted(&server, "localhost"), policy).await;
        let wire = in_time(Wire::tcp(lab.gate.addr(), "postgres")).await;
        assert_eq!(in_time(conversation(wire)).await, expected);
    }
}

#[tokio::test]
async fn a_server_with_another_name_is_not_spoken_to() {
    let server = Server::shared();
    let lab = Lab::open(encrypted(&server, "elsewhere.example"), Policy::Bare).await;
    let stream = TcpStream::connect(lab.gate.addr()).await.expect("a gate");
    let mut wire = Wire::bare(Box::new(stream));
    wire.send(&startup("postgres", "postgres")).await;
    let said = in_time(wire.until(b'Z')).await;
    assert_eq!(tags(&said), "E");
    let why = said[0].field(b'M').expect("words");
    assert!(why.contains("certificate"), "{why}");
}

#[tokio::test]
async fn a_server_that_does_not_encrypt_is_not_spoken_to() {
    // A gate without a certificate is a server that does not encrypt.
    let server = Server::shared();
    let plain = Lab::open(server.tcp(), Policy::Bare).await;
    let tls = ToServer::new(name("localhost"), trusting(server.certificate(), &[]));
    let lab = Lab::open(Upstream::Tls(plain.gate.addr(), tls), Policy::Bare).await;
    let stream = TcpStream::connect(lab.gate.addr()).await.expect("a gate");
    let mut wire = Wire::bare(Box::new(stream));
    wire.send(&startup("postgres", "postgres")).await;
    let said = in_time(wire.until(b'Z')).await;
    let why = said[0].field(b'M').expect("words");
    assert!(why.contains("does not encrypt"), "{why}");
}

/// A gate with a certificate, which is returned.
async fn with_certificate(upstream: Upstream) -> (Lab, String) {
    let tls = ToClients::self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let pem = tls.pem().to_owned();
    let door = Door {
        tls: Some(tls),
        ..Door::default()
    };
    (Lab::behind(upstream, Policy::Gap, door).await, pem)
}

async fn client(lab: &Lab, pem: &str, direct: bool, alpn: &[&[u8]]) -> std::io::Result<Wire> {
    let mut stream = TcpStream::connect(lab.gate.addr()).await?;
    if !direct {
        stream.write_all(&SSL_REQUEST).await?;
        assert_eq!(stream.read_u8().await?, b'S');
    }
    let connector = TlsConnector::from(trusting(pem, alpn));
    let stream = connector.connect(name("localhost"), stream).await?;
    Ok(Wire::bare(Box::new(stream)))
}

#[tokio::test]
async fn clients_are_encrypted_for_on_request_or_at_once() {
    let server = Server::shared();
    let (lab, pem) = with_certificate(server.unix()).await;
    let direct = in_time(Wire::tcp(server.addr(), "postgres")).await;
    let expected = in_time(conversation(direct)).await;
    for (at_once, alpn) in [
        (false, vec![]),
        (false, vec![&b"postgresql"[..]]),
        (true, vec![&b"postgresql"[..]]),
    ] {
        let mut wire = in_time(client(&lab, &pem, at_once, &alpn))
            .await
            .expect("a client");
        wire.send(&startup("postgres", "postgres")).await;
        in_time(wire.greet()).await;
        assert_eq!(in_time(conversation(wire)).await, expected);
    }
    // In plain text it serves as before.
    let plain = in_time(Wire::tcp(lab.gate.addr(), "postgres")).await;
    assert_eq!(in_time(conversation(plain)).await, expected);
}

#[tokio::test]
async fn a_client_that_means_something_else_is_closed() {
    let server = Server::shared();
    let (lab, pem) = with_certificate(server.unix()).await;
    // At once, and not for PostgreSQL.
    if let Ok(mut wire) = in_time(client(&lab, &pem, true, &[])).await {
        let _ = wire
            .stream
            .write_all(&startup("postgres", "postgres"))
            .await;
        assert!(in_time(wire.next()).await.is_none());
    }
    // Plain text behind the request would count as encrypted.
    let mut stream = TcpStream::connect(lab.gate.addr()).await.expect("a gate");
    let smuggled = [&SSL_REQUEST[..], &startup("postgres", "postgres")].concat();
    stream.write_all(&smuggled).await.expect("written");
    let mut rest = Vec::new();
    in_time(stream.read_to_end(&mut rest))
        .await
        .expect("an end");
    assert!(rest.is_empty(), "{rest:?}");
    in_time(Wire::tcp(lab.gate.addr(), "postgres")).await;
}

#[tokio::test]
async fn scram_crosses_without_channel_binding_and_says_why_not_with() {
    let server = Server::shared();
    let mut admin = Wire::tcp(server.addr(), "postgres").await;
    admin
        .run("create role with_password superuser login password 'secret'")
        .await;
    let (lab, pem) = with_certificate(encrypted(&server, "localhost")).await;
    // In plain text a driver knows nothing of channel binding, and gets in.
    let mut config = tokio_postgres::Config::new();
    config
        .host("127.0.0.1")
        .port(lab.gate.addr().port())
        .user("with_password")
        .password("secret")
        .dbname("postgres");
    let (driver, connection) = in_time(config.connect(tokio_postgres::NoTls))
        .await
        .expect("a connection");
    tokio::spawn(connection);
    let row = in_time(driver.query_one(
        "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
        &[],
    ))
    .await
    .expect("a row");
    assert!(row.get::<_, bool>(0));
    // Encrypted, one could bind and misses it (`y`), or does (`p`).
    for first in ["y,,n=,r=abc", "p=tls-server-end-point,,n=,r=abc"] {
        let mut wire = in_time(client(&lab, &pem, false, &[]))
            .await
            .expect("a client");
        wire.send(&startup("with_password", "postgres")).await;
        let offer = in_time(wire.next()).await.expect("an offer");
        assert_eq!(offer.body, b"\0\0\0\x0aSCRAM-SHA-256\0\0");
        let mut body = b"SCRAM-SHA-256\0".to_vec();
        body.extend((first.len() as u32).to_be_bytes());
        body.extend(first.as_bytes());
        wire.send(&common::message(b'p', &body)).await;
        let refusal = in_time(wire.next()).await.expect("words");
        let why = refusal.field(b'M').expect("words");
        assert!(why.contains("channel_binding=disable"), "{why}");
        assert!(in_time(wire.next()).await.is_none());
    }
}

#[tokio::test]
async fn a_cancel_request_is_encrypted_too() {
    let server = Server::shared();
    let lab = Lab::open(encrypted(&server, "localhost"), Policy::Bare).await;
    let mut wire = in_time(Wire::tcp(lab.gate.addr(), "postgres")).await;
    wire.send(&query("select pg_sleep(600)")).await;
    let mut watcher = Wire::tcp(server.addr(), "postgres").await;
    let sleeping = format!(
        "select count(*) from pg_stat_activity where pid = {} and wait_event = 'PgSleep'",
        wire.pid
    );
    while common::cell(&watcher.run(&sleeping).await) != "1" {}
    let mut packet = vec![0, 0, 0, 16, 4, 210, 22, 46];
    packet.extend(wire.pid.to_be_bytes());
    packet.extend(&wire.key);
    let mut stream = TcpStream::connect(lab.gate.addr()).await.expect("a gate");
    stream.write_all(&packet).await.expect("written");
    let said = in_time(wire.until(b'Z')).await;
    let error = said
        .iter()
        .find(|message| message.tag == b'E')
        .expect("an error");
    assert_eq!(error.code().as_deref(), Some("57014"));
}
