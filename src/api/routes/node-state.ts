import type { NodeState } from '../../values/runs/reported-node-state.js'
import { type Routes, Type } from '../schema.js'

export const NodeStateSchema = Type.Object({
  started_at: Type.Time(),
  runs_running: Type.Integer(),
  runs_waiting: Type.Integer({ description: 'behind those that run' }),
  file_problems: Type.Array(Type.String({ description: 'a file that cannot be received or shared now, and why' })),
  certificate_ends_at: Type.Optional(Type.Time()),
  protocol: Type.String({ description: '`<oldest>-<newest>`' })
})

/** `GET trace/<id>` at an agent, where a trace ends: how it is. */
export const nodeStateRoutes: Routes<{ services: { readonly state: () => NodeState } }> = async (app, { services }) => {
  app.get(
    '/trace/:nodeId',
    {
      config: { access: 'trace' },
      schema: {
        tags: ['agent'],
        summary: 'How this node is',
        params: Type.Object({ nodeId: Type.String() }),
        response: { 200: NodeStateSchema }
      }
    },
    async () => {
      const { file_problems: problems, ...rest } = services.state()
      return { ...rest, file_problems: [...problems] }
    }
  )
}
