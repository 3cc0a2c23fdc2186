//! What a browser does, without the socket: requests with a cookie, straight into the application.

use axum::Router;
use axum::body::{Body, BodyDataStream, to_bytes};
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use axum::http::{Request, Response, StatusCode};
use futures_util::StreamExt;
use tower::ServiceExt;

use crate::running::within_deadline;

pub(crate) struct Browser {
    app: Router,
    /// `session=...`
    pub(crate) cookie: String,
}

impl Browser {
    /// Sends the login page's form.
    pub(crate) async fn log_in(app: Router, form: &str) -> Self {
        let nobody = Self { app, cookie: String::new() };
        let answer = nobody.send(nobody.form("/login", form)).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "login with {form}");
        let cookie = answer.headers()[SET_COOKIE].to_str().expect("a cookie").to_owned();
        let pair = cookie.split(';').next().expect("the first part").to_owned();
        Self { app: nobody.app, cookie: pair }
    }

    /// A browser that shows this cookie.
    pub(crate) fn with_cookie(app: Router, cookie: &str) -> Self {
        Self { app, cookie: cookie.to_owned() }
    }

    /// A form's request, to be sent as it is or changed first.
    pub(crate) fn form(&self, path: &str, form: &str) -> Request<Body> {
        Request::post(path)
            .header(HOST, "127.0.0.1:3000")
            .header(COOKIE, &self.cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()))
            .expect("a request")
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        within_deadline("an answer", self.app.clone().oneshot(request)).await.expect("a router always answers")
    }

    /// Submits a form that must succeed.
    pub(crate) async fn submit(&self, path: &str, form: &str) {
        let (status, body) = self.post(path, form).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{path}: {body}");
    }

    pub(crate) async fn post(&self, path: &str, form: &str) -> (StatusCode, String) {
        read(self.send(self.form(path, form)).await).await
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        read(self.send(self.question(path)).await).await
    }

    /// The token that the page shows for the person's AI; a dummy where it must not show one.
    pub(crate) async fn agent_token(&self) -> String {
        shown_token(&self.get("/").await.1).to_owned()
    }

    /// The live stream of the page.
    pub(crate) async fn events(&self) -> Events {
        let answer = self.send(self.question("/events")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        Events(answer.into_body().into_data_stream())
    }

    pub(crate) fn question(&self, path: &str) -> Request<Body> {
        let question = Request::get(path).header(HOST, "127.0.0.1:3000").header(COOKIE, &self.cookie);
        question.body(Body::empty()).expect("a request")
    }
}

/// What stands in a page in the place of the agent token.
pub(crate) fn shown_token(page: &str) -> &str {
    let (_, behind) = page.split_once("<span id=\"agent-token\">").expect("a place for the token");
    behind.split_once("</span>").expect("the end of the place").0
}

pub(crate) async fn read(answer: Response<Body>) -> (StatusCode, String) {
    let status = answer.status();
    let body = to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

pub(crate) struct Events(BodyDataStream);

impl Events {
    /// The section that the next event names; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let chunk = within_deadline("an event for the page", self.0.next()).await?.expect("a chunk");
        let text = String::from_utf8(chunk.to_vec()).expect("text");
        Some(text.trim().strip_prefix("data: ").expect("an event with data").to_owned())
    }
}
