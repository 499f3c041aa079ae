//! The task that holds the connection, and tells the store every second that this node lives.

use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::line::Trouble;
use super::told::{Beat, Heard};
use super::{GONE_AFTER, NODES, PATIENCE, Shared, Store, TOLD};

const EVERY: Duration = Duration::from_secs(1);

/// Registers a node, at its first call in place of those of its name that were before, and forgets those that are gone.
static BEAT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         local now = time[1] * 1000 + math.floor(time[2] / 1000)
         local node, member, first = ARGV[1] .. '#', ARGV[2], ARGV[4]
         redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
         local known = redis.call('ZSCORE', KEYS[1], member) and 1 or 0
         if first == '1' then
           for _, other in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
             if other ~= member and string.sub(other, 1, #node) == node then
               redis.call('ZREM', KEYS[1], other)
             end
           end
         end
         redis.call('ZADD', KEYS[1], string.format('%.0f', now), member)
         redis.call('HSETNX', KEYS[2], 'since', string.format('%.0f', now))
         local told = redis.call('HMGET', KEYS[2], 'reloads', 'reloads:' .. member, 'revocations', 'since')
         local others = tonumber(told[1] or 0) - tonumber(told[2] or 0)
         return {known, redis.call('ZCARD', KEYS[1]), others, tonumber(told[3] or 0), tonumber(told[4])}",
    )
});

/// What the task remembers from one connection to the next.
#[derive(Default)]
struct Memory {
    heard: Heard,
    /// Whether the store has taken this node in, ever.
    entered: bool,
    /// What the log was told last of why it is out of reach.
    complained: Option<Trouble>,
}

impl Store {
    /// Keeps the connection and this node's place, for as long as it is awaited. Everything else waits for nothing
    /// while it is not.
    pub async fn run(self) {
        let mut memory = Memory::default();
        loop {
            let trouble = match self.0.door.connect().await {
                Ok((connection, driver)) => tokio::select! {
                    trouble = self.0.beat(connection, &mut memory) => trouble,
                    () = driver => Trouble::lost(),
                },
                Err(trouble) => trouble,
            };
            self.0.line().take();
            self.0.counts.set_up(false);
            memory.heard.miss();
            memory.complain(&self.0, trouble);
            sleep(EVERY).await;
        }
    }
}

impl Shared {
    /// Until it is not answered, or somebody else is not.
    async fn beat(&self, mut connection: MultiplexedConnection, memory: &mut Memory) -> Trouble {
        let mut timer = interval(EVERY);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What was told of the connection before would end this one.
        let _ = timeout(Duration::ZERO, self.lost.notified()).await;
        let mut fresh = true;
        loop {
            tokio::select! {
                _ = timer.tick() => {}
                () = self.lost.notified() => return Trouble::silent(),
            }
            match timeout(PATIENCE, self.ask(&mut connection, memory.entered)).await {
                Ok(Ok(beat)) => self.take_in(beat, fresh, &connection, memory),
                Ok(Err(error)) => return Trouble::of(&error),
                Err(_) => return Trouble::silent(),
            }
            fresh = false;
        }
    }

    async fn ask(&self, connection: &mut MultiplexedConnection, entered: bool) -> RedisResult<Beat> {
        let mut asked = BEAT.key(NODES);
        asked.key(TOLD).arg(&self.node).arg(&self.member);
        asked.arg(GONE_AFTER.as_millis() as u64).arg(u8::from(!entered));
        let (known, live, reloads, revocations, since) = asked.invoke_async(connection).await?;
        Ok(Beat { known, live, reloads, revocations, since })
    }

    fn take_in(&self, beat: Beat, fresh: bool, connection: &MultiplexedConnection, memory: &mut Memory) {
        memory.entered = true;
        self.nodes.store(beat.live, Relaxed);
        if fresh {
            *self.line() = Some(connection.clone());
            self.counts.set_up(true);
            memory.complained = None;
            tracing::info!(store = %self.door, nodes = beat.live, "the store answers");
        }
        // Last: who hears of it has something to tell.
        self.told.send_if_modified(|told| memory.heard.hear(beat, fresh, told));
    }
}

impl Memory {
    /// Each reason once, until it answers again.
    fn complain(&mut self, shared: &Shared, trouble: Trouble) {
        if self.complained.as_ref() == Some(&trouble) {
            return;
        }
        tracing::warn!(
            store = %shared.door,
            reason = trouble.reason,
            remedy = trouble.remedy,
            "the store is out of reach; sessions go on, and limits are as store.away says"
        );
        self.complained = Some(trouble);
    }
}
