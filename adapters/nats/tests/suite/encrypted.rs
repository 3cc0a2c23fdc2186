//! Connections with TLS on both sides.

use std::path::Path;
use std::process::Command;

use grove_engine::Cluster;
use grove_nats::NatsOptions;
use grove_nats::testing::NatsServer;

use crate::{connected, programs, started};

/// Runs `openssl` in a folder.
fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    let output = output.expect("openssl is needed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, and a certificate of it for the server and one for the client.
fn write_certificates(folder: &Path) {
    let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(folder, &format!("{new} -keyout ca.key -out ca.pem -subj /CN=authority"));
    openssl(folder, &format!("{new} -keyout other.key -out other.pem -subj /CN=other"));
    for name in ["server", "client"] {
        let request = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(folder, &format!("{request} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
        let sign = "x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names";
        openssl(folder, &format!("{sign} -in {name}.csr -out {name}.pem"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_encrypted_with_the_given_authorities_and_the_clients_certificate() {
    for program in programs() {
        let mut server = NatsServer::start(&program);
        let folder = server.folder().to_owned();
        write_certificates(&folder);
        let file = |name: &str| folder.join(name);
        server.configure(&format!(
            "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}",
            file("server.pem"),
            file("server.key"),
            file("ca.pem")
        ));
        server.restart();
        let options = || NatsOptions::new(&server.url());
        let with_client = |options: NatsOptions| options.client_certificate(file("client.pem"), file("client.key"));
        let (cluster, _) = connected(with_client(options().authorities(file("ca.pem"))), "one").await;
        assert!(cluster.is_connected());
        for wrong in [with_client(options().authorities(file("other.pem"))), options().authorities(file("ca.pem"))] {
            let (cluster, recorder) = started(wrong, "two").await;
            recorder.disconnected().await;
            assert!(!cluster.is_connected());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_must_be_encrypted_is_not_made_without() {
    let Some(program) = NatsServer::program() else { return };
    let server = NatsServer::start(&program);
    let (cluster, recorder) = started(NatsOptions::new(&server.url()).require_tls(), "one").await;
    recorder.disconnected().await;
    assert!(!cluster.is_connected());
}
