//! The dashboard: a page and what belongs to it, part of the binary. It asks `/kv-store/status` and the keys' routes like anybody else.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};

use crate::http::reply::{self, Response};

/// Nothing is loaded from elsewhere, nothing in the page itself is run, and nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One file of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asset {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

static ASSETS: [Asset; 6] = [
    Asset { path: "/", content_type: "text/html; charset=utf-8", text: include_str!("../../assets/index.html") },
    Asset {
        path: "/assets/dashboard.css",
        content_type: "text/css; charset=utf-8",
        text: include_str!("../../assets/dashboard.css"),
    },
    script("/assets/dashboard.js", include_str!("../../assets/dashboard.js")),
    script("/assets/keys.js", include_str!("../../assets/keys.js")),
    script("/assets/page.js", include_str!("../../assets/page.js")),
    Asset { path: "/assets/icon.svg", content_type: "image/svg+xml", text: include_str!("../../assets/icon.svg") },
];

const fn script(path: &'static str, text: &'static str) -> Asset {
    Asset { path, content_type: "text/javascript; charset=utf-8", text }
}

/// The file of a path, if there is one.
pub(crate) fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

/// Answers with a file.
pub(crate) fn answer(asset: &Asset, token: &str) -> Response {
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
        let texts = ASSETS.iter().filter(|asset| asset.path != "/assets/icon.svg").map(|asset| asset.text);
        let quoted: Vec<&str> = texts.flat_map(|text| text.split('"').skip(1).step_by(2)).collect();
        let named: Vec<&&str> = quoted.iter().filter(|text| text.starts_with("/assets/")).collect();
        assert_eq!(named.len(), 4, "{named:?}");
        assert!(named.iter().all(|path| asset(path).is_some()), "{named:?}");
        assert!(quoted.contains(&"./page.js") && asset("/assets/page.js").is_some());
        assert!(!ASSETS.iter().any(|asset| asset.text.contains("https://")), "nothing is loaded from elsewhere");
        assert_eq!(asset("/assets/none.js"), None);
    }
}
