//! The site under test.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{Router, extract::Path, http::HeaderMap, response::Html, routing::get};
use tokio::sync::Notify;

/// Tells the site of a page, and goes on only when the site has heard it.
const PING: &str =
    "const ping = new XMLHttpRequest(); ping.open('GET', '/ping', false); ping.send()";

/// Hears whether somebody fetched `/ping` or `/hang` of one site: another test's page must not be taken for this one's.
#[derive(Clone, Default)]
pub(crate) struct Ear(Arc<Notify>);

impl Ear {
    /// Waits until it was fetched, if it was not before.
    pub(crate) async fn hears(&self) {
        let heard = tokio::time::timeout(Duration::from_secs(10), self.0.notified());
        heard.await.expect("the page does not get on");
    }
}

/// Starts the site on a free port of this machine; it ends with the test's runtime.
pub(crate) async fn start() -> String {
    start_heard().await.0
}

/// Starts the site, and tells of its pages what they tell it.
#[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
pub(crate) async fn start_heard() -> (String, Ear) {
    let ear = Ear::default();
    let (pinged, hanging) = (ear.clone(), ear.clone());
    let app = Router::new()
        .route("/", get(|| page("")))
        .route("/data", get(|| async { "data" }))
        .route(
            "/ping",
            get(|| async move {
                pinged.0.notify_one();
            }),
        )
        .route("/bytes", get(|| async { vec![b'x'; 100_000] }))
        .route("/redirect", get(|| redirect(0)))
        .route("/redirect/{hop}", get(|Path(hop): Path<u64>| redirect(hop)))
        .route(
            "/file",
            get(|| async { ([("content-disposition", "attachment; filename=a.bin")], "data") }),
        )
        .route(
            "/hang",
            get(|| async move {
                hanging.0.notify_one();
                std::future::pending::<String>().await
            }),
        )
        .route(
            "/late",
            get(|| async {
                tokio::time::sleep(Duration::from_millis(150)).await;
                Html("<title>Late</title><p id=out onclick=\"out.textContent += '!'\">late</p>")
            }),
        )
        .route(
            "/cookie",
            get(|headers: HeaderMap| async move {
                let seen = headers
                    .get("cookie")
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or("none")
                    .to_owned();
                ([("set-cookie", "seen=yes; Path=/")], Html(format!("<p id=out>{seen}</p>")))
            }),
        )
        .route(
            "/worker.js",
            get(|| async {
                let script = "onfetch = (event) => event.respondWith(new Response('<p id=out>from the worker'));";
                ([("content-type", "text/javascript")], script)
            }),
        )
        .route("/{page}", get(|Path(name): Path<String>| async move { page(&name).await }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://{address}"), ear)
}

/// Leads on for ever.
async fn redirect(hop: u64) -> axum::response::Redirect {
    axum::response::Redirect::temporary(&format!("/redirect/{}", hop + 1))
}

async fn page(name: &str) -> Html<String> {
    let pages = BTreeMap::from([
        ("", include_str!("site/index.html")),
        ("login", "<title>Login</title><input type=password id=password>"),
        ("meta", "<meta name=viewport content='width=device-width'><p>meta"),
        ("form", include_str!("site/form.html")),
        ("list", include_str!("site/list.html")),
        ("boxes", include_str!("site/boxes.html")),
        ("popup", include_str!("site/popup.html")),
        (
            "middle",
            "<title>Middle</title><p style='height:60px'>pad</p><iframe style='margin:20px' src=/popup></iframe>",
        ),
        (
            "frames",
            "<title>Frames</title><p style='height:900px'>Outside<iframe style='border:7px solid' src=/popup></iframe></p><iframe src=/middle style='width:500px;height:300px'></iframe>",
        ),
        (
            "dialog",
            "<p id=out>none</p><button id=b onclick=\"out.textContent = confirm('sure?') ? 'yes' : 'no'\">ask</button>",
        ),
        ("kinds", include_str!("site/kinds.html")),
        ("names", include_str!("site/names.html")),
        ("svg", include_str!("site/svg.html")),
        ("framed", "<title>Framed</title><iframe src=/inner></iframe>"),
        (
            "inner",
            "<title>Inner</title><a id=go href=/popup>go</a> <a id=stay href='javascript:void(0)'>stay</a> <a id=dead href='http://127.0.0.1:2/'>dead</a>",
        ),
        (
            "storm",
            "<p id=out>none</p><button id=b onclick=\"for (let i = 0; i < 30; i++) alert(i); out.textContent = 'done'\">storm</button>",
        ),
        (
            "endless",
            "<p id=out>none</p><button id=b onclick=\"setTimeout(() => { alert(1); PING; for (;;) alert(1); })\">storm</button>",
        ),
        (
            "leave",
            "<p id=out>none</p><button id=b onclick=\"onbeforeunload = (e) => { e.preventDefault(); return 'stay'; }\">leave</button>",
        ),
        (
            "host",
            "<iframe id=f></iframe><script>f.src = location.href.replace('127.0.0.1', 'localhost').replace('/host', '/guest')</script>",
        ),
        (
            "texts",
            "<table><tr id=row><td>1</td><td>2</td><td></td><td>4</td></tr></table><div id=parts><p>a</p><p>b</p></div><pre id=code>if x:\n  y = 1</pre><div id=inner style='visibility:hidden'><b style='visibility:visible'>seen</b></div><div style='max-height:0;overflow:hidden'><button id=folded>folded</button></div>",
        ),
        (
            "controls",
            "<p id=out>-</p><form onsubmit=\"event.preventDefault(); out.textContent = 'submitted'\"><input id=text></form><div id=plain>plain</div><div id=tab tabindex=0>tab</div><div id=note contenteditable><b id=bold>old</b></div><input id=date type=date><input id=time type=time><input id=box type=checkbox style='opacity:0'><button id=faint style='opacity:0' onclick=\"out.textContent = 'clicked'\">faint</button><button id=dawns style='opacity:0' onclick=\"out.textContent = 'dawned'\">dawns</button><select id=size onchange=\"out.textContent += '!'\"><option value=s>Small</option><option value=l style='text-transform:uppercase'>large&nbsp; one</option></select><select id=many multiple><option value=a>A</option><option value=b>B</option></select><script>setTimeout(() => { dawns.style.opacity = 1; }, 500)</script>",
        ),
        (
            "links",
            "<a href=# style='text-transform:uppercase'>shout</a><a href=#>two  words &amp;&nbsp;more<p>below</p></a><a href=# style='opacity:0'>faint</a><div style='height:0;overflow:hidden'><a href=#>folded</a></div><div id=host></div><script>host.attachShadow({ mode: 'open' }).innerHTML = '<a href=#>deep</a>'</script>",
        ),
        (
            "attributes",
            "<a id=link>link</a><a id=empty href=''>empty</a><form id=form action=/go></form><input id=box type=checkbox checked><select><option>one</option><option id=option selected>two</option></select><svg id=drawing class=art width=20></svg><p id=plain>plain</p>",
        ),
        ("greets", "<script>alert('hello')</script><p id=out>after</p>"),
        (
            "strays",
            "<p id=out>none</p><div><button id=strays>Strays</button></div><div><button id=stays onclick=\"out.textContent = 'stayed'\">Stays</button></div><script>let at = 0; (function stray() { strays.style.marginLeft = `${at++ % 90}px`; requestAnimationFrame(stray); })()</script>",
        ),
        (
            "shadowed",
            "<div id=h></div><script>h.attachShadow({ mode: 'open' }).innerHTML = '<iframe src=/popup></iframe>'</script><iframe id=plain src=/list></iframe>",
        ),
        (
            "guest",
            "<button id=b onclick=\"location.href = location.href.replace('localhost', '127.0.0.1').replace('/guest', '/list')\">home</button>",
        ),
        (
            "opens",
            "<a id=link target=_blank href=/popup>a link</a> <button id=alone onclick=\"open('/popup', '', 'noopener')\">alone</button> <button id=abroad onclick=\"window.open(location.href.replace('127.0.0.1', 'localhost').replace('opens', 'popup'))\">abroad</button>",
        ),
        (
            "popups",
            "<p id=out>none</p><button id=b onclick=\"open('/popups-again')\">open</button>",
        ),
        (
            "popups-again",
            "<script>if (history.length < 2 && !opener?.opener?.opener) open('/popups-again')</script>again",
        ),
        (
            "download",
            "<p id=out>none</p><button id=b onclick=\"location.href = '/file'; setTimeout(() => { out.textContent = 'done' }, 300)\">get</button>",
        ),
        (
            "silence",
            "<p id=out>none</p><button id=b onclick=\"location.href = '/hang'\">go</button>",
        ),
        (
            "leads",
            "<title>Leads</title><p id=out>here</p><a id=link href=/late>link</a><form action=/late><input id=text><button id=send>send</button></form><button id=handler onclick=\"location.href = '/late'\">handler</button><button id=timer onclick=\"setTimeout(() => { location.href = '/late' })\">timer</button><button id=box onclick=\"if (confirm('go?')) location.href = '/late'\">box</button><button id=stays onclick=\"out.textContent += '!'\">stays</button>",
        ),
        ("leads-frame", "<title>Around</title><iframe id=inner src=/leads></iframe>"),
        ("stuck", "<button id=b onclick=\"PING; for (;;);\">stuck</button>"),
    ]);
    Html(pages.get(name).copied().unwrap_or("not found").replace("PING", PING))
}
