//! The scripts of the pages, which are part of the program.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

pub(super) fn response(text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], text)
}
