import { forwardedAddress } from '../../network/ip-address.js'
import type { NetworkSet } from '../../network/network-set.js'

/** Trusted proxies that are looked for in `X-Forwarded-For`, whose beginning any client can write. */
export const MAX_FORWARDED_PROXIES = 32

/** The origin of a request, as `X-Forwarded-For` tells of it. */
export interface ForwardedOrigin {
  /** The trusted proxies behind it, the nearest one first. */
  readonly proxies: readonly string[]
  /** The last address that is no trusted proxy. */
  readonly named?: string
  /** Whether something stands there that is no address, or stands behind too many proxies. */
  readonly isUnknown?: true
}

/**
 * Reads an `X-Forwarded-For` from its end, which the nearest proxy wrote, up to the first address that is no trusted
 * proxy. What was written before that one is not looked at: it may be anything, and up to 16 KiB of it.
 */
export function forwardedOrigin(header: string, trusted: NetworkSet): ForwardedOrigin {
  const chain = header.trim()
  const proxies: string[] = []
  let end = chain === '' ? -1 : chain.length
  while (end >= 0) {
    if (proxies.length === MAX_FORWARDED_PROXIES) return { proxies, isUnknown: true }
    const comma = end === 0 ? -1 : chain.lastIndexOf(',', end - 1)
    const address = forwardedAddress(chain.slice(comma + 1, end).trim())
    if (address === undefined) return { proxies, isUnknown: true }
    if (!trusted.contains(address)) return { proxies, named: address }
    proxies.push(address)
    end = comma
  }
  return { proxies }
}
