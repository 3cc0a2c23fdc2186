//! Connecting to all kinds of servers: with TLS, with a wrong path, behind a login page, or not there at all.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use grove_axum::{anonymous, router};
use grove_engine::{Action, Descriptor, Engine, Invocation, Session};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

/// Longer than anything here takes; only a failing test waits this long.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs the agent to its end.
async fn agent(arguments: &[&str], certificates: Option<&PathBuf>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent"));
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).env_remove("SLOP_TOKEN");
    if let Some(file) = certificates {
        command.env("SSL_CERT_FILE", file);
    }
    timeout(DEADLINE, command.output()).await.expect("the agent ends").unwrap()
}

/// The exit code and what it printed as an error.
async fn failure(arguments: &[&str]) -> (i32, String) {
    let output = agent(arguments, None).await;
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// The application, with an action that takes a text.
fn app() -> axum::Router {
    let engine = Engine::builder("app", "App").build();
    let say = Action::new("say", |_: Invocation<serde_json::Value>| {}).params(serde_json::json!({
        "type": "object", "properties": {"text": {"type": "string"}},
    }));
    engine.register("note", move |_: &Session| Descriptor::collection().prop("n", 1).action(&say));
    router(engine, anonymous())
}

/// A server that responds to every request with this.
async fn serve_response(response: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(response.as_bytes()).await.unwrap();
        }
    });
    address
}

async fn serve_app() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(grove_axum::serve(listener, app(), std::future::pending()));
    address
}

/// The same application behind TLS, and a file with the certificate of its authority.
async fn serve_tls() -> (SocketAddr, PathBuf) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(accept_tls(listener, TlsAcceptor::from(Arc::new(config))));
    let file = std::env::temp_dir().join(format!("agent-{}-{}.pem", std::process::id(), address.port()));
    std::fs::write(&file, authority.pem()).unwrap();
    (address, file)
}

async fn accept_tls(listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        let (stream, peer) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A client that does not trust the certificate hangs up.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = app().layer(axum::Extension(axum::extract::ConnectInfo(peer)));
            let service = TowerToHyperService::new(service);
            let http = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
            let _ = http.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
        });
    }
}

#[tokio::test]
async fn a_server_with_tls_is_reached_by_wss_and_by_https() {
    let (address, certificates) = serve_tls().await;
    for scheme in ["wss", "https"] {
        let url = format!("{scheme}://localhost:{}/slop", address.port());
        let output = agent(&["tree", "--url", &url], Some(&certificates)).await;
        let (tree, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && tree.contains("note"), "{tree}{errors}");
    }
    std::fs::remove_file(certificates).unwrap();
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_and_a_wrong_scheme_are_explained() {
    let (address, certificates) = serve_tls().await;
    let (code, said) = failure(&["tree", "--url", &format!("wss://localhost:{}/slop", address.port())]).await;
    assert!(code == 1 && said.contains("does not trust the certificate of localhost"), "{said}");
    let (code, said) = failure(&["tree", "--url", &format!("ws://{address}/slop")]).await;
    assert!(code == 1 && said.contains("does it want wss://?"), "{said}");
    let plain = serve_app().await;
    let (code, said) = failure(&["tree", "--url", &format!("wss://{plain}/slop")]).await;
    assert!(code == 1 && said.contains("does not speak TLS"), "{said}");
    std::fs::remove_file(certificates).unwrap();
}

#[tokio::test]
async fn a_missing_path_means_slop_and_a_wrong_one_is_explained() {
    let address = serve_app().await;
    let output = agent(&["tree", "--url", &format!("ws://{address}")], None).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (code, said) = failure(&["tree", "--url", &format!("ws://{address}/api")]).await;
    assert_eq!(
        (code, said.as_str()),
        (1, "agent: refused (404): nothing speaks SLOP at /api; the path is usually /slop\n")
    );
}

#[tokio::test]
async fn a_login_page_and_a_web_page_are_named() {
    let login = serve_response("HTTP/1.1 303 See Other\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n").await;
    let (code, said) = failure(&["tree", "--url", &format!("ws://{login}/")]).await;
    assert!(code == 1 && said.contains("refused (303): / leads to /login, probably a login page"), "{said}");
    let page = serve_response("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
    let (code, said) = failure(&["tree", "--url", &format!("ws://{page}/")]).await;
    assert!(code == 1 && said.contains("refused (200): a web page is at /"), "{said}");
}

#[tokio::test]
async fn a_call_that_is_too_large_is_explained() {
    let address = serve_app().await;
    let url = format!("ws://{address}/slop");
    let params = format!(r#"{{"text":"{}"}}"#, "x".repeat(70_000));
    let (code, said) = failure(&["invoke", "/note", "say", &params, "--url", &url]).await;
    assert!(code == 1 && said.contains("(1009") && said.contains("most servers accept 64 KB"), "{said}");
}

#[tokio::test]
async fn wrong_usage_is_exit_code_2_and_names_what_is_wrong() {
    for (arguments, words) in [
        (&["tree", "--url", "desk.example"][..], "ws://127.0.0.1:3000/slop"),
        (&["tree", "--timeout", "0"], "0 is not in 1..=86400"),
        (&["tree", "--deep", "1"], "--deep"),
        (&["invoke", "/note", "say", "[1]"], "not a JSON object"),
        (&[], "Usage"),
    ] {
        let (code, said) = failure(arguments).await;
        assert!(code == 2 && said.contains(words), "{arguments:?}: {said}");
    }
}
