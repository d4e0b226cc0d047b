import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { makeAgentCertificate } from '../../../demo/pki.js'
import type { TreeMember } from '../../../demo/relay-tree.js'
import { type AskOptions, ask } from '../network/http.js'
import { startTree } from './relay-tree.js'
import { editConfig } from './tree-files.js'

/** The administration token of relay-a. */
export const TOKEN = 'a-token-that-is-long-enough'

export type Call = readonly [method: string, path: string, answer: number | RegExp]

const NO_RUN = '01BX5ZZKBKACTAV9WEVGEMMVRZ'

/**
 * A request for each route, by who may make it, and what it is answered then: a status, or what stands in a refusal
 * that comes from what is behind the check.
 */
export const CALLS = {
  open: [
    ['GET', '/uuid', 200],
    ['GET', '/v1/system/alive', 200],
    ['GET', '/v1/system/ready', 200],
    ['GET', '/v1/join/ca', /tree\.source at the root/],
    ['POST', '/v1/join', 400],
    ['POST', '/v1/join/renew', 400]
  ],
  write: [
    ['HEAD', '/shared-files/node-a1/node-a1/f?hash=00', 404],
    ['PUT', '/shared-files/node-a1/stranger/f?ttl=60', 404]
  ],
  read: [
    ['GET', '/shared-files/node-a1/node-a1/f', 404],
    ['GET', '/shared-files/node-a1', 200]
  ],
  folder: [
    ['GET', '/shared-folder/none', 404],
    ['HEAD', '/shared-folder/none', 404]
  ],
  run: [
    ['POST', '/remote-run/all', 200],
    ['POST', '/remote-run/nodes', 400],
    ['POST', '/remote-run/nodes/node-a1', 200]
  ],
  runs: [
    ['GET', '/runs', 200],
    ['GET', `/runs/${NO_RUN}`, 404],
    ['GET', `/runs/${NO_RUN}/events`, 404],
    ['POST', `/runs/${NO_RUN}/cancel`, 404]
  ],
  trace: [['GET', '/trace/node-a1', 200]],
  tree: [
    ['GET', '/v1/tree', 200],
    ['GET', '/v1/revocations', /general\.ca_path/],
    ['GET', `/v1/revocations/confirmation?nonce=${'n'.repeat(22)}`, /general\.ca_path/]
  ],
  outbox: [['GET', '/outbox', 200]],
  administration: [
    ['POST', '/outbox/retry', 200],
    ['POST', '/outbox/1/retry', 404],
    ['DELETE', '/outbox/1', 404],
    ['GET', '/nodes', 200],
    ['GET', '/nodes/node-a1', 200],
    ['GET', '/nodes/node-a1/route', 200],
    ['GET', '/v1/relay/links', 200],
    ['DELETE', '/v1/relay/links/node-a1', 404],
    ['GET', '/v1/relay/clients', 200],
    ['DELETE', '/v1/relay/clients/none', 404],
    ['GET', '/v1/tokens', /tree\.source = "members"/],
    ['POST', '/v1/tokens', 400],
    ['DELETE', '/v1/tokens/none', /tree\.source = "members"/],
    ['DELETE', '/v1/members/none', /tree\.source = "members"/],
    ['POST', '/v1/members/none/move', 400],
    ['GET', '/v1/token-keys', /tree\.source = "members"/],
    ['DELETE', '/v1/token-keys/none', /tree\.source = "members"/],
    ['DELETE', '/v1/signed-tokens/none', 400],
    ['GET', '/api/v1/getAgentStatistics', 200]
  ],
  system: [
    ['GET', '/system/info', 200],
    ['GET', '/system/status', 200],
    ['POST', '/system/reload', 200],
    ['POST', '/v1/token-keys', 400],
    ['POST', '/v1/signed-tokens', 400],
    ['POST', '/v1/caller-certificates', 400]
  ],
  observation: [
    ['GET', '/metrics', 200],
    ['GET', '/v1/system/metrics', 200],
    ['GET', '/openapi.json', 200]
  ],
  policyServer: [['POST', '/v1/tree/changed', /tree\.source is not "policy-server"/]],
  revocations: [['POST', '/v1/revocations', 400]]
} as const satisfies Readonly<Record<string, readonly Call[]>>

export type Group = keyof typeof CALLS

export const GROUPS = Object.keys(CALLS) as Group[]

/** The groups that local callers may call: all but what the policy server alone may. */
export const LOCAL = GROUPS.filter(group => group !== 'policyServer' && group !== 'revocations')

/** Starts a tree of three relays, to call relay-a as anyone. */
export async function startCallerTree(t: TestContext) {
  const tree = await startTree(t, {
    relays: [
      { id: 'root', under: 'root', nodes: ['node-r1'] },
      { id: 'relay-a', under: 'root', nodes: ['node-a1'] },
      { id: 'sub', under: 'relay-a', nodes: ['node-s1'] }
    ],
    absent: ['root', 'relay-a', 'sub'],
    settings: { tokens: ['admin_file = "token"'] }
  })
  const relay = tree.relay('relay-a')
  await Promise.all([...tree.relays.values()].map(({ directory }) => writeFile(join(directory, 'token'), `${TOKEN}\n`)))
  await tree.restart('relay-a')
  await tree.restart('root')
  const member = tree.member('node-a1')
  const certificate = await makeAgentCertificate({ nodeId: 'node-a1', hostname: 'x', kind: 'ec' })
  const unknown: TreeMember = { ...member, certificate }

  /** Asserts that the routes of `allowed` are answered, and that everything else is 403 and names a setting. */
  async function assertMay(allowed: readonly Group[], options: AskOptions, setting: RegExp = /[a-z_]+\.[a-z_]+/) {
    for (const group of GROUPS) {
      for (const [method, path, expected] of CALLS[group] as readonly Call[]) {
        const answer = await ask(relay, path, { ...options, method })
        const what = `${method} ${path}: ${answer.text}`
        if (!allowed.includes(group)) {
          assert.equal(answer.status, 403, what)
          if (method !== 'HEAD') assert.match(answer.text, setting, what)
          if (typeof expected !== 'number') assert.doesNotMatch(answer.text, expected, what)
        } else if (typeof expected === 'number') assert.equal(answer.status, expected, what)
        else assert.match(answer.text, expected, what)
      }
    }
  }
  const reload = async (edit: (text: string) => string) => {
    await editConfig(relay, edit)
    const answer = await ask(relay, '/system/reload', { method: 'POST' })
    assert.equal(answer.status, 200, answer.text)
  }
  return { tree, relay, member, unknown, assertMay, reload }
}
