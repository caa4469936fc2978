//! What pages are made of besides HTML.

use axum::http::{HeaderName, header};

type Asset = ([(HeaderName, &'static str); 2], &'static str);

/// Browsers ask again after a minute: a new version brings new ones.
const fn asset(media: &'static str, text: &'static str) -> Asset {
    ([(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, "max-age=60")], text)
}

pub(super) async fn style() -> Asset {
    asset("text/css; charset=utf-8", include_str!("../../assets/studio.css"))
}

pub(super) async fn script() -> Asset {
    asset("text/javascript; charset=utf-8", include_str!("../../assets/studio.js"))
}

pub(super) async fn task_script() -> Asset {
    asset("text/javascript; charset=utf-8", include_str!("../../assets/task.js"))
}

pub(super) async fn sources_script() -> Asset {
    asset("text/javascript; charset=utf-8", include_str!("../../assets/sources.js"))
}

pub(super) async fn start_script() -> Asset {
    asset("text/javascript; charset=utf-8", include_str!("../../assets/start.js"))
}

pub(super) async fn icon() -> Asset {
    asset("image/svg+xml", include_str!("../../assets/favicon.svg"))
}
