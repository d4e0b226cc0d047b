import { Agent, type RequestOptions } from 'node:https'
import type { Duplex } from 'node:stream'
import { type ConnectionOptions, connect } from 'node:tls'
import { httpProxyFor } from '../../network/http-proxy.js'
import { openTunnel } from '../../network/proxy-tunnel.js'

/** Less than a link's handshake may take, so that a proxy that is silent is what is told of. */
const TUNNEL_LIMIT_MS = 8_000

/**
 * The agent that leads through the HTTP proxy of the environment, if there is one for this address. Its errors name the
 * proxy where that is what failed.
 * @throws {Error} when the proxy's URL is none
 */
export function proxyFor(
  url: string,
  env: Readonly<Record<string, string | undefined>> = process.env
): Agent | undefined {
  const proxy = httpProxyFor(url, env)
  return proxy === undefined ? undefined : new ProxyAgent(proxy)
}

/** Has a proxy open each connection, and speaks TLS over it. */
class ProxyAgent extends Agent {
  readonly #proxy: URL

  constructor(proxy: URL) {
    super()
    this.#proxy = proxy
  }

  override createConnection(
    options: RequestOptions,
    callback?: (error: Error | null, stream: Duplex) => void
  ): undefined {
    const done = callback as (error: Error | null, stream?: Duplex) => void // Node always gives one
    const { host, port, path, ...tls } = options
    const name = host ?? ''
    openTunnel(this.#proxy, name, String(port ?? 443), TUNNEL_LIMIT_MS).then(
      socket => done(null, connect({ ...(tls as ConnectionOptions), host: name, socket })),
      done
    )
  }
}
