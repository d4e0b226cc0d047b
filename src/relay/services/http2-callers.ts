import { CallerSlots, type ConnectionShare } from '../../services/entry/caller-slots.js'
import type { Http2Callers } from '../../services/entry/service-listener.js'
import type { LogLimit } from '../../values/logging/log-limit.js'
import { logClosed } from '../listening/gated-tls.js'

/** Requests in HTTP/2 under way, of all listeners for callers of services together. */
export const MAX_HTTP2_REQUESTS = 4_096

/** The callers in HTTP/2 of a relay. */
export function http2Callers(limited: LogLimit): Http2Callers {
  return {
    streams: new CallerSlots(shareOf(MAX_HTTP2_REQUESTS)),
    onFlood: source => logClosed(limited, source, 'HTTP/2 frames that bring nothing on, such as PING and resets')
  }
}

function shareOf(max: number): ConnectionShare {
  let taken = 0
  return {
    hasRoom: () => taken < max,
    take: () => {
      taken += 1
    },
    giveBack: () => {
      taken -= 1
    }
  }
}
