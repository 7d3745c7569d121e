//! The dashboard: a page and what belongs to it, part of the binary. It asks `/kv-store/status` and the keys' routes like anybody else.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, StatusCode};
use serde_json::json;

use crate::http::errors::unknown_path;
use crate::http::openapi::operation::{Header, Operation, header};
use crate::http::reply::{self, Response};

/// Nothing is loaded from elsewhere, nothing in the page itself is run, and nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One file of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asset {
    file: &'static str,
    content_type: &'static str,
    text: &'static str,
}

static ASSETS: [Asset; 7] = [
    Asset { file: "", content_type: "text/html; charset=utf-8", text: include_str!("../../assets/index.html") },
    Asset {
        file: "dashboard.css",
        content_type: "text/css; charset=utf-8",
        text: include_str!("../../assets/dashboard.css"),
    },
    script("access.js", include_str!("../../assets/access.js")),
    script("dashboard.js", include_str!("../../assets/dashboard.js")),
    script("keys.js", include_str!("../../assets/keys.js")),
    script("page.js", include_str!("../../assets/page.js")),
    Asset { file: "icon.svg", content_type: "image/svg+xml", text: include_str!("../../assets/icon.svg") },
];

const fn script(file: &'static str, text: &'static str) -> Asset {
    Asset { file, content_type: "text/javascript; charset=utf-8", text }
}

fn asset(file: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.file == file)
}

const HEADERS: [Header; 4] = [
    header("Content-Security-Policy", "Nothing is loaded from elsewhere"),
    header("X-Content-Type-Options", "Always nosniff"),
    header("Referrer-Policy", "Always no-referrer"),
    header("Cache-Control", "Always no-cache"),
];

/// The page, as it is described.
pub(crate) fn page_operations() -> Vec<Operation> {
    vec![
        Operation::new("GET", "dashboard", "The dashboard, a page for people")
            .answers_text(200, "The page", "text/html")
            .with_headers(200, &HEADERS)
            .limited(),
    ]
}

/// What belongs to it, as it is described.
pub(crate) fn asset_operations() -> Vec<Operation> {
    let file = json!({ "type": "string", "description": "A script, a style sheet or a picture" });
    vec![
        Operation::new("GET", "dashboardFile", "What belongs to the dashboard")
            .path("file", file)
            .answers_text(200, "The file", "*/*")
            .with_headers(200, &HEADERS)
            .fails(404, "There is no such file")
            .limited(),
    ]
}

/// Answers with a file.
pub(crate) fn answer(method: &Method, file: &str, token: &str) -> Response {
    let Some(asset) = asset(file) else { return unknown_path(method, token) };
    let text = Bytes::from_static(asset.text.as_bytes());
    let content_type = HeaderValue::from_static(asset.content_type);
    let mut response = reply::with_type(StatusCode::OK, text, content_type, reply::visible(token));
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // A node of another release may answer next at the same address.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_only_files_that_are_there() {
        let texts = ASSETS.iter().filter(|asset| asset.file != "icon.svg").map(|asset| asset.text);
        let quoted: Vec<&str> = texts.flat_map(|text| text.split('"').skip(1).step_by(2)).collect();
        let named: Vec<&&str> = quoted.iter().filter(|text| text.starts_with("/assets/")).collect();
        assert_eq!(named.len(), 4, "{named:?}");
        assert!(named.iter().all(|path| asset(path.trim_start_matches("/assets/")).is_some()), "{named:?}");
        assert!(quoted.contains(&"./page.js") && asset("page.js").is_some());
        assert!(!ASSETS.iter().any(|asset| asset.text.contains("https://")), "nothing is loaded from elsewhere");
        assert_eq!(asset("none.js"), None);
    }
}
