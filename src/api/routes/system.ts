import { VERSION } from '../../process/version.js'
import { type Routes, Type } from '../schema.js'
import type { Services } from '../services.js'

/** The version of the relay API that we speak, as the existing relay states it. */
const API_MAJOR_VERSION = '1.0'

const Part = Type.Object({ status: Type.String(), details: Type.Optional(Type.String()) })

const envelope = {
  result: Type.String({ description: 'success or error' }),
  action: Type.String(),
  errorDetails: Type.Optional(Type.String())
}

/** `GET system/info`, `GET system/status`, `POST system/reload` (contract, "System"). */
export const systemRoutes: Routes<{ services: Pick<Services, 'sharedFiles' | 'system'> }> = async (
  app,
  { services }
) => {
  const { system } = services
  const config = { access: 'system' } as const
  const tags = ['system']

  const Info = Type.Object({ 'major-version': Type.String(), 'full-version': Type.String() })
  app.get(
    '/system/info',
    { config, schema: { tags, summary: 'Versions', response: { 200: Type.Object({ ...envelope, data: Info }) } } },
    async () => ({
      result: 'success',
      action: 'getSystemInfo',
      data: { 'major-version': API_MAJOR_VERSION, 'full-version': VERSION }
    })
  )

  const Status = Type.Object({
    configuration: Part,
    database: Part,
    storage: Part,
    lost_files: Type.Optional(
      Type.Object({
        folder: Type.String({
          description: 'of files that no record knows, and that stay until somebody removes them'
        }),
        files: Type.Integer(),
        bytes: Type.Integer()
      })
    ),
    nodes: Type.Object({
      status: Type.String(),
      details: Type.Optional(Type.String()),
      count: Type.Integer(),
      certificates: Type.Integer(),
      sync: Type.Optional(
        Type.Object({
          version: Type.Optional(Type.String({ description: 'of the tree in place' })),
          synced_at: Type.Optional(
            Type.Time({ description: 'when the policy server last said that this is the tree' })
          ),
          age_seconds: Type.Optional(Type.Integer({ description: 'since then' })),
          problem: Type.Optional(Type.String({ description: 'why the last attempt failed' }))
        })
      )
    })
  })
  app.get(
    '/system/status',
    {
      config,
      schema: {
        tags,
        summary: 'What is in order, and what is not',
        response: { 200: Type.Object({ ...envelope, data: Status }) }
      }
    },
    async () => ({
      result: 'success',
      action: 'getStatus',
      data: { ...(await system.status()), ...lostFiles(services) }
    })
  )

  app.post(
    '/system/reload',
    {
      config,
      schema: {
        tags,
        summary: 'Read configuration, nodes list and certificates again',
        response: { 200: Type.Object(envelope), 500: Type.Object(envelope) }
      }
    },
    async (_request, reply) => {
      const problems = await system.reload()
      if (problems.length === 0) return { result: 'success', action: 'reloadConfiguration' }
      return reply.code(500).send({ result: 'error', action: 'reloadConfiguration', errorDetails: problems.join('\n') })
    }
  )
}

/** The lost files, left out while there are none. */
function lostFiles({ sharedFiles }: Pick<Services, 'sharedFiles'>) {
  const found = sharedFiles.lost()
  return found.files === 0 ? {} : { lost_files: found }
}
