import { appendFile, copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { createRoot } from '../../../src/membership/root/create-root.js'
import { agentConf } from '../../../src/membership/setup/config-templates.js'
import { dataFolders } from '../../../src/membership/setup/data-folders.js'
import { openMembers } from './members.js'
import { temporaryFolder } from './neighbours.js'

export const CLIENTS = `register:client-1 ${'0'.repeat(64)}\n`

/** The folder of a new root, with all kinds of files that its configuration can name. */
export async function makeRelayFolder(t: TestContext, nowMs = Date.now()): Promise<string> {
  const folder = join(await temporaryFolder(t), 'root')
  const command = await makeCommand(t)
  await createRoot({
    folder,
    addresses: [{ hostname: 'root.example', port: 443 }],
    listen: '127.0.0.1:3030',
    lifetimeMs: 3_600_000,
    takenOver: undefined,
    data: dataFolders(folder),
    command,
    program: ['treeline'],
    user: 'treeline',
    openRepository: openMembers,
    nowMs
  })
  await writeFile(join(folder, 'admin'), 'a token that is long enough to be one, of 64 characters or more..\n', {
    mode: 0o600
  })
  await writeFile(join(folder, 'clients'), CLIENTS)
  await appendFile(join(folder, 'main.conf'), '\n[tokens]\nadmin_file = "admin"\nclients_file = "clients"\n')
  return folder
}

/** The same of an agent, with the files that the root has. */
export async function makeAgentFolder(t: TestContext, more = ''): Promise<string> {
  const root = await makeRelayFolder(t)
  const folder = await temporaryFolder(t)
  for (const name of ['ca.pem', 'certificate.pem', 'tls.key', 'sign.key']) {
    await copyFile(join(root, name), join(folder, name))
  }
  const upstream = { hostname: 'root.example', port: 443, nodeId: 'root' }
  const text = agentConf({ id: 'root', upstream, data: dataFolders(folder), command: await makeCommand(t) })
  await writeFile(join(folder, 'agent.conf'), `${text}${more}`)
  return folder
}

async function makeCommand(t: TestContext): Promise<string> {
  const command = join(await temporaryFolder(t), 'command')
  await writeFile(command, '#!/bin/sh\n', { mode: 0o755 })
  return command
}
