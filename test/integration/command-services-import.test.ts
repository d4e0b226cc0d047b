import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'smol-toml'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'

const base64 = (text: string) => Buffer.from(text).toString('base64')

const SERVICES = `agentInfo:
  annotations: { description: east }
outgoingServices:
  - name: builds
    type: jenkins
    enabled: true
    config:
      url: https://jenkins.internal/ci/
      insecure: yes
      credentials:
        type: basic
        username: ${base64('robot')}
        password: ${base64('a-password: "quoted"')}
    annotations: &shown
      description: builds of the "east" region
      floor: 012
  - name: deploys
    type: argocd
    enabled: true
    config:
      url: https://argo.internal
      timeout: 5
      credentials:
        type: bearer
        secretName: argo-token
    annotations: *shown
  - name: clusters
    type: kubernetes
    enabled: true
    config:
      kubeConfig: /app/config/east.yaml
    namespaces:
      - name: east-dev
        namespaces: [dev, test]
      - name: east-prod
        namespaces: [prod]
  - name: off
    type: jenkins
    enabled: false
    config: { url: http://127.0.0.1 }
  - name: whoami
    type: whoami
    enabled: true
    config: { url: http://localhost:8014 }
incomingServices:
  - name: back
    port: 8014
    destionalService: whoami
`

const EXPECTED = [
  {
    key: 'builds',
    type: 'jenkins',
    url: 'https://jenkins.internal/ci',
    insecure: true,
    annotations: { description: 'builds of the "east" region', floor: '012' },
    credentials: { type: 'basic', file: 'secrets/builds' }
  },
  {
    key: 'deploys',
    type: 'argocd',
    url: 'https://argo.internal',
    annotations: { description: 'builds of the "east" region', floor: '012' },
    credentials: { type: 'bearer', secret: '/etc/treeline/secrets/argo-token' }
  },
  {
    key: 'east-dev',
    type: 'kubernetes',
    kubeconfig: '/app/config/east.yaml',
    annotations: { namespaces: 'dev, test' }
  },
  { key: 'east-prod', type: 'kubernetes', kubeconfig: '/app/config/east.yaml', annotations: { namespaces: 'prod' } },
  { key: 'whoami', type: 'x-whoami', url: 'http://localhost:8014' }
]

test('services import prints the services of birger as entries, and a remark with its line for what it leaves out', async t => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'services.yaml')
  await writeFile(file, SERVICES)
  const { code, stdout, stderr } = await treeline(t, ['services', 'import', file])
  assert.equal(code, 0, stderr)
  assert.deepEqual(JSON.parse(JSON.stringify(parse(stdout))), { service: EXPECTED })
  const remarks = stderr.trimEnd().split('\n')
  for (const remark of [
    'services.yaml:1: agentInfo is left out: only services have annotations',
    'services.yaml:9: the service builds is insecure: its certificate is not verified',
    'services.yaml:22: timeout of config of the service deploys is not known, and left out',
    'services.yaml:25: the service deploys: mount the Kubernetes secret argo-token at /etc/treeline/secrets/argo-token',
    'services.yaml:37: the service off is left out: it is not enabled',
    'services.yaml:42: the type whoami of the service whoami becomes x-whoami',
    'services.yaml:46: the service back of incomingServices is left out',
    'services.yaml:48: destionalService of a service of incomingServices is not known, and left out',
    'the file secrets/builds is not written: --secrets <folder> puts the secrets of the file there'
  ]) {
    const found = remarks.findIndex(line => line.startsWith(`treeline: ${remark}`))
    assert.notEqual(found, -1, `${remark}\n${stderr}`)
    remarks.splice(found, 1)
  }
  assert.deepEqual(remarks, [])
  assert.doesNotMatch(stdout + stderr, /a-password|YS1wYXNz/)

  const json = JSON.parse((await treeline(t, ['services', 'import', file, '--json', '--mounts', '/run/s'])).stdout)
  assert.equal(json.services[1].credentials.secret, '/run/s/argo-token')
  assert.deepEqual(json.remarks[0], { line: 1, text: 'agentInfo is left out: only services have annotations' })
  assert.deepEqual([json.secrets, json.left_out], [['secrets/builds'], 0])
})

test('services import adds the entries to a configuration, and writes secrets to files of their own', async t => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'services.yaml')
  const config = join(folder, 'agent.conf')
  const secrets = join(folder, 'secrets')
  await writeFile(file, SERVICES)
  await writeFile(config, 'node_id = "a"\n[upstream]\nhost = "b"')
  const add = (...args: readonly string[]) => treeline(t, ['services', 'import', file, '--append', config, ...args])

  const untold = await add()
  assert.equal(untold.code, 2)
  assert.match(untold.stderr, /--secrets <folder> is needed/)
  const { code, stdout, stderr } = await add('--secrets', secrets)
  assert.equal(code, 0, stderr)
  assert.equal(stdout, '')
  assert.match(stderr, /added to .*agent\.conf: builds, deploys, east-dev, east-prod, whoami\n$/)
  const written = parse(await readFile(config, 'utf8'))
  const path = join(secrets, 'builds')
  const [builds, ...others] = EXPECTED
  const service = [{ ...builds, credentials: { type: 'basic', file: path } }, ...others]
  assert.deepEqual(JSON.parse(JSON.stringify(written)), { node_id: 'a', upstream: { host: 'b' }, service })
  assert.equal(await readFile(path, 'utf8'), 'robot:a-password: "quoted"')
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.equal((await stat(secrets)).mode & 0o777, 0o700)

  const again = await add('--secrets', secrets)
  assert.equal(again.code, 2)
  assert.match(again.stderr, /it has a service builds already/)
  await writeFile(config, '')
  const kept = await add('--secrets', secrets)
  assert.equal(kept.code, 2)
  assert.match(kept.stderr, /cannot write .*builds: it is there already; move it away first/)
  assert.equal(await readFile(config, 'utf8'), '')
})

test('services import says with the line why an enabled service cannot be one, and imports the others', async t => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'services.yaml')
  const service = (name: string, type: string, config: string) =>
    `  - {name: ${name}, type: ${type}, enabled: true, config: {${config}}}\n`
  const at = 'url: http://h'
  const credentials = (text: string) => `${at}, credentials: {${text}}`
  const rows = [
    ['good', 'x-a', at, /^$/],
    ['good', 'x-a', at, /there is one of that name before it/],
    ['a.b', 'x-a', at, /"a\.b" cannot be a key, which has 1 to 128 letters/],
    ['clients', 'x-a', at, /"clients" cannot be a key/],
    ['b', 'aws', '', /a service of type aws has a url, a region and a service here/],
    ['c', '""', at, /"" cannot be a type/],
    ['d', 'x-a', '', /it has no config\.url/],
    ['e', 'x-a', 'url: "http://user:pw@h"', /its url cannot be used/],
    ['f', 'x-a', credentials('type: digest'), /its credentials have the unknown type digest/],
    ['g', 'argocd', credentials('type: basic'), /one of type argocd takes bearer alone, not basic/],
    ['h', 'x-a', credentials('type: token'), /its credentials have no token/],
    ['i', 'x-a', credentials('type: bearer, token: not-base64'), /token of its credentials is no text in base64/],
    ['j', 'x-a', credentials('type: bearer, secretName: ../x'), /"\.\.\/x" is no name of a Kubernetes secret/],
    ['k', 'x-a', credentials(`type: basic, username: ${base64('a:b')}, password: YQ==`), /its user name has a colon/],
    ['l', 'kubernetes', 'credentials: {type: bearer, token: YQ==}', /one of type kubernetes has no credentials/]
  ] as const
  await writeFile(file, `outgoingServices:\n${rows.map(([...row]) => service(row[0], row[1], row[2])).join('')}`)
  const { code, stdout, stderr } = await treeline(t, ['services', 'import', file, '--json'])
  assert.equal(code, 1, stderr)
  const { services, remarks, left_out: leftOut } = JSON.parse(stdout)
  assert.deepEqual(services, [{ key: 'good', type: 'x-a', url: 'http://h' }])
  assert.equal(leftOut, rows.length - 1)
  for (const [index, [, , , why]] of rows.entries()) {
    const texts = remarks.flatMap((one: { line: number; text: string }) => (one.line === index + 2 ? [one.text] : []))
    assert.match(texts.join('\n'), why)
  }

  for (const [text, message] of [
    ['a: [', /services\.yaml:1: not YAML/],
    ['a: 1\na: 2\n', /services\.yaml:2: not YAML: Map keys must be unique/],
    ['- a', /services\.yaml: no map of outgoingServices/]
  ] as const) {
    await writeFile(file, text)
    const wrong = await treeline(t, ['services', 'import', file])
    assert.equal(wrong.code, 2)
    assert.match(wrong.stderr, message)
  }
})

test('a folder for secrets that cannot be made is told of', async t => {
  const file = join(await temporaryFolder(t), 'services.yaml')
  await writeFile(file, SERVICES)
  const { code, stderr } = await treeline(t, ['services', 'import', file, '--secrets', '/proc/nothing/here'])
  assert.equal(code, 2)
  assert.match(stderr, /--secrets: cannot write \/proc\/nothing\/here\/builds: /)
})
