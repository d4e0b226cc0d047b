import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stringify } from 'smol-toml'
import { importBirgerServices } from '../../src/cli/commands/services/import/birger-services.js'
import { parseAgentConfig } from '../../src/config/agent/agent-parser.js'
import { parseConfig } from '../../src/config/config-parser.js'

const base64 = (text: string) => Buffer.from(text).toString('base64')

const SERVICES = `
outgoingServices:
  - { name: a, type: jenkins, enabled: true, annotations: { description: "a \\"b\\"", uiUrl: }, config: { url: "https://a/ci/", insecure: true,
      credentials: { type: basic, username: ${base64('u')}, password: ${base64('p')} } } }
  - { name: b, type: argocd, enabled: true, config: { url: "https://b", credentials: { type: bearer, secretName: argo } } }
  - { name: c, type: front50, enabled: true, config: { url: "http://c:8080", credentials: { type: token, token: ${base64('t')} } } }
  - { name: d, type: clouddriver, enabled: true, config: { url: "http://d" } }
  - { name: e, type: x-own, enabled: true, config: { url: "http://e", credentials: { type: none } } }
  - { name: f, type: gitlab, enabled: true, config: { url: "http://f" } }
`

test('the entries that services import makes are services of an agent, and of a relay', () => {
  const { services, leftOut } = importBirgerServices(SERVICES, 'services.yaml', { secrets: 'secrets', mounts: '/run' })
  assert.equal(leftOut, 0)
  const text = stringify({ service: services })
  const agent = 'node_id = "n"\ncertificate_file = "c"\nkey_file = "k"\nupstream.host = "relay"\n'
  const { ownServices, notices } = parseAgentConfig(agent + text, '', '/etc/agent')
  assert.deepEqual(
    notices.map(notice => notice.text.replace(/:.*/, '')),
    ['agent.conf']
  )
  assert.match(notices[0]?.text ?? '', /service\[0\]\.insecure/)
  assert.deepEqual(
    ownServices.map(({ key, type, url, credentials, isInsecure }) => [key, type, url, credentials?.type, isInsecure]),
    [
      ['a', 'jenkins', 'https://a/ci', 'basic', true],
      ['b', 'argocd', 'https://b', 'bearer', false],
      ['c', 'front50', 'http://c:8080', 'token', false],
      ['d', 'clouddriver', 'http://d', undefined, false],
      ['e', 'x-own', 'http://e', undefined, false],
      ['f', 'x-gitlab', 'http://f', undefined, false]
    ]
  )
  assert.deepEqual(ownServices[0]?.annotations, { description: 'a "b"', uiUrl: '' })
  assert.deepEqual(ownServices[0]?.credentials?.place, { kind: 'file', path: '/etc/agent/secrets/a' })
  assert.deepEqual(ownServices[1]?.credentials?.place, { kind: 'secret', folder: '/run/argo' })
  const relay = parseConfig(`${text}\n[general]\nnode_id = "root"\n`, '', '/etc/agent', () => '')
  assert.deepEqual(relay.ownServices, ownServices)
})
