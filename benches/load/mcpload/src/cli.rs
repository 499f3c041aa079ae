//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Mode {
    /// Session set-up: connect until the initialize result.
    Setup,
    /// tools/call echo: latency and throughput; --payload for large round trips.
    Echo,
    /// The child answers each call with --notes notifications and a result.
    Burst,
    /// tools/call big: --payload bytes towards the client only.
    Big,
    /// Connect, initialize, one echo, disconnect; --calls cycles, --sessions at a time.
    Churn,
    /// Hold --sessions idle sessions for --duration.
    Idle,
    /// Misbehaving children, one fault after another, each with a bystander session.
    Faults,
    /// POST a fixed body and take the answer, without MCP (an HTTP limit).
    Raw,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Transport {
    /// GET /sse, POST to its endpoint, replies on the stream.
    Sse,
    /// POST /mcp with Mcp-Session-Id.
    Streamable,
    /// POST /mcp of 2026-07-28: no session, each request stands for itself; mode echo only.
    Stateless,
    /// No gateway: --cmd over its own pipes.
    Pipe,
    /// No session, for mode raw.
    Raw,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Ids {
    /// Every session counts from 1, as real clients do.
    Same,
    /// No id occurs in two sessions.
    Unique,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum NoteKind {
    Message,
    Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum GetStream {
    /// In burst and idle.
    Auto,
    Yes,
    No,
}

/// Load generator and correctness checker for MCP gateways. Prints one line of
/// JSON. Loopback addresses only.
#[derive(Parser, Clone, Debug)]
#[command(version)]
pub struct Cfg {
    pub mode: Mode,
    #[arg(short, long)]
    pub transport: Transport,
    /// The SSE or Streamable HTTP endpoint, http://127.0.0.1:PORT/PATH
    #[arg(short, long, default_value = "")]
    pub url: String,
    /// An extra request header, "Name: value"
    #[arg(short = 'H', long = "header")]
    pub headers: Vec<String>,
    #[arg(short = 'n', long, default_value_t = 1)]
    pub sessions: u32,
    /// Calls in flight in each session
    #[arg(short, long, default_value_t = 1)]
    pub concurrency: u32,
    /// Calls in total (churn: cycles); without it, --duration decides
    #[arg(long)]
    pub calls: Option<u64>,
    /// Seconds of load (idle: of waiting)
    #[arg(short, long, default_value_t = 5.0)]
    pub duration: f64,
    /// Calls a second over all sessions; latency then counts from when a call was due
    #[arg(long)]
    pub rate: Option<f64>,
    /// Bytes of payload
    #[arg(short, long, default_value_t = 200)]
    pub payload: usize,
    /// Notifications a call in mode burst
    #[arg(long, default_value_t = 1000)]
    pub notes: u64,
    /// Bytes of filler in each notification
    #[arg(long, default_value_t = 100)]
    pub note_size: usize,
    #[arg(long, value_enum, default_value_t = NoteKind::Message)]
    pub note_kind: NoteKind,
    /// Warm-up calls of each worker, not counted
    #[arg(long, default_value_t = 20)]
    pub warmup: u64,
    /// Seconds of warm-up over all, on top of --warmup
    #[arg(long, default_value_t = 0.0)]
    pub warmup_s: f64,
    /// Seconds until a call counts as lost
    #[arg(long, default_value_t = 10.0)]
    pub timeout: f64,
    /// Seconds until a session set-up counts as failed
    #[arg(long, default_value_t = 30.0)]
    pub connect_timeout: f64,
    /// Set-ups in flight at a time
    #[arg(long, default_value_t = 8)]
    pub connect_parallel: u32,
    #[arg(long, value_enum, default_value_t = Ids::Same)]
    pub ids: Ids,
    /// Open the GET stream of Streamable HTTP
    #[arg(long, value_enum, default_value_t = GetStream::Auto)]
    pub get_stream: GetStream,
    /// Default: 2024-11-05 for sse and pipe, 2025-06-18 for streamable, 2026-07-28 for stateless
    #[arg(long)]
    pub protocol_version: Option<String>,
    /// Load generator threads
    #[arg(long, default_value_t = 1)]
    pub threads: u32,
    /// Sample this process and its descendants
    #[arg(long)]
    pub gateway_pid: Option<u32>,
    /// Process name of the MCP servers among the descendants
    #[arg(long, default_value = "echo-stdio")]
    pub child_name: String,
    /// Seconds after the last disconnect until leftover children are counted
    #[arg(long, default_value_t = 1.0)]
    pub settle: f64,
    /// Transport pipe: the server to start
    #[arg(long, default_value = "echo-stdio")]
    pub cmd: String,
    /// Give up on everything after this many seconds
    #[arg(long, default_value_t = 180.0)]
    pub max_time: f64,
    /// Mode faults: only this one
    #[arg(long)]
    pub fault: Option<String>,
    /// Copied to the result
    #[arg(long, default_value = "")]
    pub label: String,
}

impl Cfg {
    pub fn call_timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout)
    }

    pub fn connect_timeout(&self) -> Duration {
        Duration::from_secs_f64(self.connect_timeout)
    }

    pub fn unique_ids(&self) -> bool {
        self.ids == Ids::Unique
    }

    pub fn protocol(&self) -> &str {
        match (&self.protocol_version, self.transport) {
            (Some(version), _) => version,
            (None, Transport::Streamable) => "2025-06-18",
            (None, Transport::Stateless) => "2026-07-28",
            (None, _) => "2024-11-05",
        }
    }

    pub fn wants_get_stream(&self) -> bool {
        match self.get_stream {
            GetStream::Yes => true,
            GetStream::No => false,
            GetStream::Auto => matches!(self.mode, Mode::Burst | Mode::Idle),
        }
    }
}
