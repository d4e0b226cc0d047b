import type { ServiceRefusal } from '../../services/entry/service-refusal.js'
import { RELAY_TOKEN_HEADERS, type ShownToken } from '../../services/entry/shown-tokens.js'

const [TOKEN_HEADER] = RELAY_TOKEN_HEADERS

/** Git and browsers ask for a password then, which may be a token. */
const CHALLENGES = [
  'WWW-Authenticate',
  'Basic realm="treeline", charset="UTF-8"',
  'WWW-Authenticate',
  'Bearer realm="treeline"'
]

/** The tokens of a refused request, as far as its refusal tells of them. */
export interface RefusedTokens {
  readonly shown: readonly Pick<ShownToken, 'place'>[]
  /** Why one that is ours does not count. It is told to its holder alone: nobody else has the whole token. */
  readonly whyNot?: string | undefined
}

/** The refusal of a caller from elsewhere without a token. */
export function outsideNetworks(address: string, tokens: RefusedTokens): ServiceRefusal {
  return unauthorized(`${address} is not in services.allowed_networks`, tokens)
}

/** The refusal of a request that a proxy passed on which names no address of its caller. */
export function behindProxy(tokens: RefusedTokens): ServiceRefusal {
  const what = 'a proxy passed this request on, and none of general.trusted_proxies names the address of its caller'
  return unauthorized(what, tokens)
}

/** The refusal of a certificate of this tree that lets nobody in, whatever else the request shows. */
export function badCertificate(why: string): ServiceRefusal {
  return {
    status: 403,
    message: `the certificate of the connection is not one to call services with: ${why}. Connect with another one, or without`
  }
}

function unauthorized(why: string, { shown, whyNot }: RefusedTokens): ServiceRefusal {
  const isRelayToken = shown.some(({ place }) => place === 'relay-token')
  const known =
    whyNot !== undefined
      ? `; the token in the request does not count: ${whyNot}`
      : isRelayToken
        ? '; the token in the request is not known to this relay'
        : shown.length > 0
          ? '; the Authorization of the request is no token of this relay, and so for the service'
          : ''
  const places = shown.length > 0 ? '' : ', after Bearer in Authorization, or as the password of Basic'
  const message = `${why}${known}: show a token that may call the service in ${TOKEN_HEADER}${places}`
  return { status: 401, message, fields: CHALLENGES }
}

export function tooManyTokens(waitMs: number): ServiceRefusal {
  const seconds = Math.ceil(waitMs / 1_000)
  const message = `too many wrong tokens came from this address; wait ${seconds} s, and check the token`
  return { status: 429, message, fields: ['Retry-After', String(seconds)] }
}

export function foreignPage(): ServiceRefusal {
  return {
    status: 403,
    message: `not for web pages from elsewhere: the Origin, Referer or Sec-Fetch-Site of the request is not of this address. To follow a link, open its address in a new tab; a program may show a token in ${TOKEN_HEADER}`
  }
}

export function unknownHost(host: string): ServiceRefusal {
  return {
    status: 403,
    message: `the host ${host.slice(0, 256)} is no name of this relay, and could be that of a web page: ask by an address of the relay, add the name to general.hostnames, or show a token in ${TOKEN_HEADER}`
  }
}

/** The answer for a key without a client, and for one that the caller may not use: it does not learn which. */
export function noClient(key: string): ServiceRefusal {
  return { status: 502, message: `no client is registered under ${key}` }
}
