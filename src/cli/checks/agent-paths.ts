import type { AgentConfig, ReceiveConfig } from '../../config/agent/agent-config.js'
import { FilePlace } from '../../file-exchange/places/file-place.js'
import { findOwner, trustFor } from '../../file-exchange/places/owner.js'
import { openShareable } from '../../file-exchange/places/shareable-file.js'
import { ClientError } from '../../relay-client/client-error.js'
import { whyNotRead } from '../../values/failures/file-failure.js'
import { errorMessage } from '../../values/failures/system-error.js'

/** The entries of a configuration that an agent would refuse each time. */
export interface PathCheck {
  /** Owners of received files that the system does not know. */
  readonly problems: string[]
  /** Files to share, and places of files to receive; they may still be made. */
  readonly warnings: string[]
}

/**
 * Looks at the files to share, and the places of those to receive, as the agent does when it runs.
 * @param isByUser whether the user who asks is the one that runs the agent: else only owners are looked up
 */
export async function checkAgentPaths({ share, receive }: AgentConfig, isByUser: boolean): Promise<PathCheck> {
  const check: PathCheck = { problems: [], warnings: [] }
  for (const [index, { path }] of isByUser ? share.entries() : []) {
    const refuse = (error: unknown) => check.warnings.push(`agent.share[${index}].path: ${errorMessage(error)}`)
    await checkShare(path).catch(refuse)
  }
  for (const [index, entry] of receive.entries()) await checkReceive(check, `agent.receive[${index}]`, entry, isByUser)
  return check
}

async function checkShare(path: string): Promise<void> {
  const { handle } = await openShareable(path).catch((error: unknown) => {
    if (error instanceof ClientError) throw error
    throw new Error(`${path} cannot be read: ${whyNotRead(error)}`, { cause: error })
  })
  await handle.close()
}

async function checkReceive(
  { problems, warnings }: PathCheck,
  key: string,
  { destination, owner: name }: ReceiveConfig,
  isByUser: boolean
): Promise<void> {
  try {
    const owner = name === undefined ? undefined : await findOwner(name)
    if (!isByUser) return
    const opened = FilePlace.open(destination, trustFor(owner)).then(place => place.close())
    await opened.catch((error: unknown) => warnings.push(`${key}.destination: ${errorMessage(error)}`))
  } catch (error) {
    problems.push(`${key}.${errorMessage(error)}`)
  }
}
