import type { Agent } from 'node:https'
import { httpProxyFor } from '../values/http-proxy.js'

/**
 * The agent that leads through the HTTP proxy of the environment, if there is one for this address.
 * @throws {Error} when the proxy's URL is none
 */
export async function proxyFor(
  url: string,
  env: Readonly<Record<string, string | undefined>> = process.env
): Promise<Agent | undefined> {
  const proxy = httpProxyFor(url, env)
  if (proxy === undefined) return undefined
  const { HttpsProxyAgent } = await import('https-proxy-agent')
  return new HttpsProxyAgent(proxy)
}
