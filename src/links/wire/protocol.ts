/** The path at which the lower side opens its links and lanes (contract "links and services", table 1). */
export const REGISTER_PATH = '/v1/relay/register'

/** The protocol of lanes that are raw bytes, as `Upgrade` names it. */
export const LANE_PROTOCOL = 'treeline-lane/1'

/** WebSocket close codes of ours (RFC 6455, section 7.4.2: 4000 to 4999 are for applications). */
export const CLOSE = {
  refused: 4403,
  replaced: 4409,
  removed: 4410,
  full: 4429,
  stopping: 4503
} as const

/** Longest WebSocket message that is taken. Ours are 64 KiB at most; ws alone would take 100 MiB into memory. */
export const MAX_MESSAGE_BYTES = 128 * 1024

/** The options of WebSockets at both ends. We never send a message in pieces; a proxy may. */
export const WEB_SOCKET_LIMITS = {
  perMessageDeflate: false,
  maxPayload: MAX_MESSAGE_BYTES,
  maxFragments: 64,
  maxBufferedChunks: 4_096,
  closeTimeout: 1_000
} as const

/** How long the challenge and its answer may take, in ms. */
export const HANDSHAKE_LIMIT_MS = 10_000

/**
 * Each side asks for a sign of life this often, and takes the other one for dead when none came within the same time
 * again: so at the latest 30 s after it fell silent.
 */
export const PING_EVERY_MS = 14_000

/** HTTP/2 flow control (RFC 9113, section 5.2). Larger windows let one order's output fill a slow reader's memory. */
export const STREAM_WINDOW_BYTES = 256 * 1024
export const SESSION_WINDOW_BYTES = 4 * 1024 * 1024

/** Requests under way on one link. */
export const MAX_STREAMS = 1_024

/** Bulk transfers at once on one link: each side holds to it. */
export const MAX_LANES = 16

/** Lanes that the lower side opens in a second when asked to, beyond the first {@link MAX_LANES}. */
export const LANES_PER_SECOND = 8

/** Links of one client key: a token for one key must not be able to take all of `links.max`. */
export const MAX_REPLICAS = 256

/** How long bulk waits for a lane before it goes over the link itself, in ms. */
export const LANE_WAIT_MS = 2_000

/** Answered by the lower end of a link itself: opens one more lane. */
export const LANE_REQUEST_PATH = '/treeline-link/lane'

/** Answered by the lower end of a link itself: opens the lane that carries streams (`src/links/streams`). */
export const STREAMS_REQUEST_PATH = '/treeline-link/streams'

/** How long the opening of a stream may wait for that lane, in ms. */
export const STREAMS_WAIT_MS = 10_000
