import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { parseAllDocuments } from 'yaml'
import { COMMANDS } from '../src/cli/commands.js'
import { loadAgentConfig } from '../src/config/agent/agent-loader.js'
import { agentConf } from '../src/membership/setup/config-templates.js'
import { dataFolders } from '../src/membership/setup/data-folders.js'
import { temporaryFolder } from './support/machine/treeline-command.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FOLDER = join(ROOT, 'deploy/kubernetes')
const MANIFESTS = readdirSync(FOLDER).filter(name => name.endsWith('.yaml'))

interface Container {
  readonly image: string
  readonly args?: readonly string[]
  readonly command?: readonly string[]
  readonly securityContext?: unknown
  readonly resources?: { readonly limits: unknown }
  readonly livenessProbe?: { readonly httpGet: { readonly path: string } }
  readonly readinessProbe?: { readonly httpGet: { readonly path: string } }
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
}

interface PodSpec {
  readonly securityContext: Readonly<Record<string, unknown>>
  readonly initContainers?: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes: readonly { readonly name: string; readonly configMap?: { readonly optional?: boolean } }[]
}

interface Manifest {
  readonly kind: string
  readonly spec?: {
    readonly template: { readonly spec: PodSpec }
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[]
  }
  readonly data?: Readonly<Record<string, string>>
}

function manifestsOf(name: string): Manifest[] {
  return parseAllDocuments(readFileSync(join(FOLDER, name), 'utf8')).map(document => {
    assert.deepEqual(document.errors, [], name)
    return document.toJS() as Manifest
  })
}

/** The pods of a file, with the volumes that are claimed for them. */
function podsOf(name: string): PodSpec[] {
  return manifestsOf(name).flatMap(({ spec }) => {
    if (spec?.template === undefined) return []
    const claimed = (spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata)
    return [{ ...spec.template.spec, volumes: [...spec.template.spec.volumes, ...claimed] }]
  })
}

test('each container of the manifests runs without rights, within limits, on a file system that it cannot write', () => {
  for (const name of MANIFESTS) {
    const pods = podsOf(name)
    assert.equal(pods.length, 1, name)
    for (const pod of pods) {
      const user = { runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000 }
      const { fsGroupChangePolicy: _, ...context } = pod.securityContext
      assert.deepEqual(context, { ...user, seccompProfile: { type: 'RuntimeDefault' } }, name)
      for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
        assert.deepEqual(container.securityContext, {
          privileged: false,
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] }
        })
        assert.deepEqual(container.resources?.limits, { cpu: '500m', memory: '512Mi' })
        const volumes = pod.volumes.map(volume => volume.name)
        for (const mount of container.volumeMounts) assert.ok(volumes.includes(mount.name), `${name}: ${mount.name}`)
      }
    }
  }
})

test('the client has the probes of the contract, a token of a Secret, and authorities where there are any', () => {
  const [pod] = podsOf('client.yaml')
  const [client] = pod?.containers ?? []
  assert.equal(client?.livenessProbe?.httpGet.path, '/v1/system/alive')
  assert.equal(client?.readinessProbe?.httpGet.path, '/v1/system/ready')
  const { token, ca } = Object.fromEntries((pod?.volumes ?? []).map(volume => [volume.name, volume]))
  assert.deepEqual(token, { name: 'token', secret: { secretName: 'treeline-client-token', defaultMode: 0o440 } })
  assert.equal(ca?.configMap?.optional, true)
})

test('the commands and options of the manifests are those of the program', async () => {
  const program = new Command('treeline')
  for (const { load } of COMMANDS) (await load()).register(program)
  for (const name of MANIFESTS) {
    for (const { containers, initContainers = [] } of podsOf(name)) {
      for (const { args = [] } of [...containers, ...initContainers]) {
        const command = program.commands.find(each => each.name() === args[0])
        if (args[0] === undefined) continue // a script: the test below
        assert.ok(command !== undefined, `${name}: ${args[0]}`)
        const options = args.slice(1).filter(word => word.startsWith('--'))
        assert.ok(options.length > 0)
        for (const option of options) {
          assert.ok(
            command.options.some(({ long }) => long === option.split('=')[0]),
            `${name}: ${option}`
          )
        }
      }
    }
  }
})

test('the script of the agent joins once, and adds the services at each start', async t => {
  const folder = await temporaryFolder(t)
  const services = manifestsOf('agent.yaml').flatMap(({ data }) => data?.['services.toml'] ?? [])
  await writeFile(join(folder, 'services.toml'), services.join(''))
  const [pod] = podsOf('agent.yaml')
  const [shell = '', flags = '', script = ''] = pod?.initContainers?.[0]?.command ?? []
  const own = join(folder, 'agent')
  const calls = join(folder, 'calls')
  const upstream = { hostname: 'relay.test', port: 443, nodeId: 'root' }
  const joined = agentConf({ id: 'cluster-east', upstream, data: dataFolders(own), command: '/bin/true' })
  await writeFile(join(folder, 'joined'), joined)
  // stands in for the program: the paths of the script are those of a container
  const treeline = `treeline() { echo "$*" >> ${calls}; test "$1" = agent || { mkdir ${own}; cp ${join(folder, 'joined')} ${own}/agent.conf; }; }`
  const here = script.replace('/var/lib/treeline/agent', own).replace('/etc/treeline/services', folder)
  const env = { ...process.env, RELAY: 'https://relay.test', NODE_ID: 'cluster-east' }
  for (let start = 0; start < 2; start += 1) execFileSync(shell, [flags, `${treeline}\n${here}`], { env })

  const former = readFileSync(join(own, 'agent.conf'), 'utf8')
  await writeFile(join(own, 'agent.conf'), former.replace('relay.test', 'other.test')) // the agent does so when it moves
  execFileSync(shell, [flags, `${treeline}\n${here}`], { env })
  assert.equal(readFileSync(join(own, 'agent.conf'), 'utf8'), former.replace('relay.test', 'other.test'))
  const { ownServices: read } = loadAgentConfig(own)
  assert.deepEqual(
    read.map(({ key, type }) => [key, type]),
    [['cluster', 'kubernetes']]
  )
  const join1 = `join https://relay.test --token-file /run/join/token --id cluster-east --dir ${own} --command /bin/true --no-start`
  const check = `agent --config ${own} --test`
  assert.deepEqual(readFileSync(calls, 'utf8').trim().split('\n'), [join1, check, check, check])
  const program = new Command('treeline')
  for (const { load } of COMMANDS) (await load()).register(program)
  for (const line of [join1, check]) {
    const [name, ...words] = line.split(' ')
    const known = program.commands.find(each => each.name() === name)?.options.map(({ long }) => long)
    for (const word of words.filter(each => each.startsWith('--'))) assert.ok(known?.includes(word), word)
  }
})

test('the image of the manifests is the one that the page builds, by the version of the program', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  const image = `registry.example.com/treeline:${version}`
  for (const name of MANIFESTS) {
    for (const { containers, initContainers = [] } of podsOf(name)) {
      for (const container of [...containers, ...initContainers]) assert.equal(container.image, image, name)
    }
  }
  for (const file of ['docs/kubernetes.md', 'deploy/container/Dockerfile']) {
    const text = readFileSync(join(ROOT, file), 'utf8')
    assert.ok(text.includes(`docker build --file deploy/container/Dockerfile --tag ${image} .`), file)
    assert.ok(text.includes(`docker push ${image}`), file)
  }
})
