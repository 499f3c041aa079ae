//! The operator's page: who gets in, what a browser may be made to do, and what is not on it.

use reqwest::header::{COOKIE, HeaderMap, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response, StatusCode};

use crate::admin::{ADMIN_SECRET, ANY_PORT, Admin, bearer};
use crate::gateway::{SECRET, peer, until, with_peers};
use crate::tenants::hash;

/// A browser at the page.
pub(crate) struct Browser {
    http: reqwest::Client,
    address: String,
    pub(crate) cookie: String,
}

impl Browser {
    /// One that has not logged in.
    pub(crate) fn new(admin: &Admin) -> Self {
        let http = crate::client::http().redirect(Policy::none()).build().unwrap();
        Self { http, address: admin.address.clone(), cookie: String::new() }
    }

    pub(crate) async fn logged_in(admin: &Admin) -> Self {
        let mut browser = Self::new(admin);
        let answer = browser.post("/admin/login", &[("secret", ADMIN_SECRET)]).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        browser.cookie = cookie.split(';').next().unwrap().to_owned();
        browser
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("http://{}{path}", self.address));
        if self.cookie.is_empty() { request } else { request.header(COOKIE, &self.cookie) }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    }

    /// As a form of one of its own pages sends it.
    pub(crate) fn post(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let own = format!("http://{}", self.address);
        self.bare_post(path, fields).header("origin", own).header("sec-fetch-site", "same-origin")
    }

    /// The same without a word of where it is from.
    fn bare_post(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.request(Method::POST, path).body(pairs.join("&"));
        request.header("content-type", "application/x-www-form-urlencoded")
    }

    /// The token of its login's forms.
    pub(crate) async fn token(&self) -> String {
        let page = self.text("/admin").await;
        let (_, rest) = page.split_once("name=\"token\" value=\"").expect("a form with a token");
        rest.split('"').next().unwrap().to_owned()
    }
}

fn start() -> Admin {
    Admin::start_with(&with_peers(ANY_PORT))
}

#[tokio::test]
async fn a_browser_is_led_to_the_login_and_the_secret_lets_it_in() {
    let admin = start();
    let stranger = Browser::new(&admin);
    for path in ["/admin", "/admin/drain", "/admin/reload", "/admin/revoke", "/admin/sessions/1/end"] {
        let answer = stranger.get(path).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["location"]),
            (303, &"/admin/login".parse().unwrap())
        );
    }
    assert_eq!(stranger.get("/admin/events").await.status(), 401);
    assert!(stranger.text("/admin/login").await.contains("type=\"password\""));
    for wrong in ["", "wrong", SECRET] {
        let answer = stranger.post("/admin/login", &[("secret", wrong)]).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{wrong}");
        assert!(!answer.headers().contains_key(SET_COOKIE));
    }
    let answer = stranger.post("/admin/login", &[("secret", ADMIN_SECRET)]).send().await.unwrap();
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/admin", "Max-Age=43200"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "a loopback name has no https");
    let browser = Browser::logged_in(&admin).await;
    assert!(browser.text("/admin").await.contains("No session is live"));
    assert_eq!(browser.get("/admin/login").await.status(), 303);
    // What a program shows with each request, the cookie is not.
    assert_eq!(browser.get("/overview").await.status(), 401);
    let told = admin.gateway.audit("operator_acted");
    assert!(told.iter().any(|line| line["action"] == "log in"), "{told:?}");
    assert_eq!(admin.gateway.audit("operator_refused").len(), 1, "like ones are told once");
}

#[tokio::test]
async fn the_cookie_goes_by_https_alone_to_all_but_loopback_names() {
    let admin = Admin::start_with(&with_peers("[admin]\naddress = \"0.0.0.0:0\"\n"));
    let browser = Browser::new(&admin);
    let request = browser.bare_post("/admin/login", &[("secret", ADMIN_SECRET)]);
    let request = request.header("host", "gate.example").header("origin", "https://gate.example");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 303);
    assert!(answer.headers()[SET_COOKIE].to_str().unwrap().contains("; Secure"));
}

#[tokio::test]
async fn wrong_secrets_are_limited_as_everywhere_and_keep_out_nobody_else() {
    let admin = start();
    let stranger = Browser::new(&admin);
    let mut limited = None;
    // Not each of the last ones: every two seconds one more is let through to be wrong.
    for _ in 0..40 {
        let answer = stranger.post("/admin/login", &[("secret", "wrong")]).send().await.unwrap();
        limited = limited.or(Some(answer).filter(|answer| answer.status() == 429));
    }
    assert!(limited.expect("a limit").headers().contains_key("retry-after"));
    Browser::logged_in(&admin).await;
}

#[tokio::test]
async fn every_answer_tells_browsers_to_be_strict() {
    let admin = start();
    let browser = Browser::logged_in(&admin).await;
    let strict = |headers: &HeaderMap, path: &str| {
        let policy = headers["content-security-policy"].to_str().unwrap();
        for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
    };
    for path in ["/admin", "/admin/login", "/admin/drain", "/admin/sessions/9/end", "/admin/events"] {
        let answer = browser.get(path).await;
        if answer.status() != 303 {
            strict(answer.headers(), path);
            assert_eq!(answer.headers()["cache-control"], "no-store", "{path}");
        }
    }
    let page = browser.text("/admin").await;
    assert!(!page.contains("style=") && !page.contains(" onclick") && page.matches("<script").count() == 1);
    for path in ["/admin/style.css", "/admin/page.js"] {
        let answer = browser.get(path).await;
        strict(answer.headers(), path);
        let tag = answer.headers()["etag"].clone();
        assert!(answer.text().await.unwrap().len() > 1000, "{path}");
        let again = browser.request(Method::GET, path).header("if-none-match", tag).send().await.unwrap();
        assert_eq!(again.status(), 304, "{path}");
    }
}

#[tokio::test]
async fn nothing_is_done_that_no_form_of_this_login_asks_for() {
    let admin = start();
    let mut session = admin.gateway.client().connect("peer").await;
    let pid = session.pid().await;
    let (browser, other) = (Browser::logged_in(&admin).await, Browser::logged_in(&admin).await);
    let (token, others) = (browser.token().await, other.token().await);
    assert_ne!(token, others);
    let (own, end) = (format!("http://{}", admin.address), "/admin/sessions/1/end");
    let right = [("token", &*token)];
    let refused = [
        ("no token", browser.post(end, &[]), 403),
        ("another login's token", browser.post(end, &[("token", &others)]), 403),
        ("half a token", browser.post(end, &[("token", &token[..20])]), 403),
        ("no word of where from", browser.bare_post(end, &right), 403),
        ("no cookie", Browser::new(&admin).post(end, &right), 401),
        ("another origin", browser.bare_post(end, &right).header("origin", "https://evil.example"), 403),
        ("none that is told", browser.bare_post(end, &right).header("origin", "null"), 403),
        // The same site, for a browser: cookies know no ports.
        ("another port", browser.bare_post(end, &right).header("origin", "http://127.0.0.1:1"), 403),
        ("another page", browser.bare_post(end, &right).header("sec-fetch-site", "same-site"), 403),
        (
            "the right origin, but the browser knows better",
            browser.bare_post(end, &right).header("origin", own).header("sec-fetch-site", "cross-site"),
            403,
        ),
        ("a GET", browser.request(Method::GET, &format!("{end}?token={token}")), 200),
    ];
    for (what, request, status) in refused {
        assert_eq!(request.send().await.unwrap().status(), status, "{what}");
    }
    // A page of another port has a browser ask, which shows the cookie.
    let embedded = browser.request(Method::GET, "/admin").header("sec-fetch-site", "same-site");
    assert_eq!(embedded.send().await.unwrap().status(), 303);
    for path in ["/admin/drain", "/admin/reload", "/admin/revoke", "/admin/logout"] {
        assert_eq!(browser.post(path, &[]).send().await.unwrap().status(), 403, "{path}");
    }
    assert_eq!(session.pid().await, pid, "it lives");
    assert!(admin.gateway.audit("operator_acted").iter().all(|line| line["action"] == "log in"));
    let ended = browser.post(end, &right).send().await.unwrap();
    assert_eq!(ended.status(), 200);
    while session.message().await.is_some() {}
    admin.gateway.until_active(0).await;
    until("its process is gone", || crate::traces::status(pid, "Pid").is_empty()).await;
    let told = admin.gateway.audit("operator_acted");
    let line = told.iter().find(|line| line["action"] == "end a session").expect("an audit line");
    assert_eq!((&line["tenant"], &line["server"]), (&"default".into(), &"peer".into()));
    let again = browser.post(end, &right).send().await.unwrap();
    assert_eq!(again.status(), 404);
}

#[tokio::test]
async fn who_logs_out_is_out_and_only_so_many_are_in() {
    let admin = start();
    let first = Browser::logged_in(&admin).await;
    let second = Browser::logged_in(&admin).await;
    let token = second.token().await;
    let answer = second.post("/admin/logout", &[("token", &token)]).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    assert!(answer.headers()[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(second.get("/admin").await.status(), 303);
    let mut last = None;
    for _ in 0..16 {
        assert_eq!(first.get("/admin").await.status(), 200);
        last = Some(Browser::logged_in(&admin).await);
    }
    assert_eq!(first.get("/admin").await.status(), 303, "the oldest has made room");
    assert_eq!(last.unwrap().get("/admin").await.status(), 200);
}

#[tokio::test]
async fn a_program_with_the_secret_needs_no_login() {
    let admin = start();
    let program = Browser::new(&admin);
    let with = |method, path, secret| program.request(method, path).header("authorization", bearer(secret));
    assert_eq!(with(Method::GET, "/admin", ADMIN_SECRET).send().await.unwrap().status(), 200);
    assert_eq!(with(Method::GET, "/admin", "wrong").send().await.unwrap().status(), 401);
    assert_eq!(with(Method::POST, "/admin/reload", SECRET).send().await.unwrap().status(), 401);
    assert!(admin.gateway.audit("settings_reloaded").is_empty());
    let reloaded = with(Method::POST, "/admin/reload", ADMIN_SECRET).send().await.unwrap();
    assert_eq!(reloaded.status(), 200);
    assert!(reloaded.text().await.unwrap().contains("servers: 0 added, 0 changed, 0 removed"));
    std::fs::write(admin.gateway.place.path().join("lockgate.toml"), "[servers.x]\nrun = 7\n").unwrap();
    let refused = with(Method::POST, "/admin/reload", ADMIN_SECRET).send().await.unwrap();
    assert_eq!(refused.status(), 422);
    assert!(refused.text().await.unwrap().contains("servers.x.run"));
}

#[tokio::test]
async fn the_page_shows_what_there_is_and_no_secret() {
    let script = "echo '<script>alert(1)</script>' $TOKEN >&2; exit 3";
    let servers = format!(
        "{ANY_PORT}[servers.peer]\nrun = {:?}\n[servers.broken]\nrun = {:?}\nenv = {{ TOKEN = \"test-value\" }}\n",
        peer(),
        format!("sh -c {script:?}")
    );
    let admin = Admin::start_with(&servers);
    let client = admin.gateway.client().header("env_greeting", "test-value-of-a-client");
    let session = client.connect("peer").await;
    let mut broken = admin.gateway.client().open("broken").await;
    while broken.message().await.is_some() {}
    admin.gateway.until_active(1).await;
    let browser = Browser::logged_in(&admin).await;
    let page = browser.text("/admin").await;
    let shown =
        ["peer", "broken", "default", "&lt;script&gt;alert(1)", "landlock", "session opened", "Try it"];
    for text in shown {
        assert!(page.contains(text), "{text} is missing: {page}");
    }
    let id = session.endpoint.split_once('=').unwrap().1;
    let kept = hash(SECRET);
    let hidden = ["<script>alert", "test-value", ADMIN_SECRET, SECRET, &kept[7..], id, &browser.cookie[15..]];
    for secret in hidden {
        assert!(!page.contains(secret), "the page shows {secret}");
    }
    assert!(!admin.gateway.log().contains(&browser.cookie[15..]));
}
