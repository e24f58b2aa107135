/** Steps of the pipeline: flags that are applied in their order, and the list that stands for them in the file. */
import { type Field, flagName, optional, unset } from '../field.ts'
import { listOf } from '../kind.ts'
import { type PipelineStep, pipelineKind } from '../pipeline.ts'
import { hostGlob, method, regularExpression, status } from '../text-kinds.ts'

const group = 'Filters'
const from = 'step'

/** Of inspect. */
export const STEP_FIELDS = {
  allowMethod: unset(listOf(method), 'all', {
    group,
    from,
    value: 'GET,HEAD,…',
    help: 'Only requests with one of these methods.',
  }),
  denyMethod: unset(listOf(method), 'none', {
    group,
    from,
    value: 'GET,HEAD,…',
    help: 'No requests with these methods.',
  }),
  allowPath: unset(regularExpression, 'all', {
    group,
    from,
    value: 'REGEX',
    help: 'Only requests in whose path and query the regular expression (RE2) is found.',
    reason: 'RE2 takes time in proportion to the path, whatever the expression: nobody can stall a worker with a path.',
  }),
  denyPath: unset(regularExpression, 'none', {
    group,
    from,
    value: 'REGEX',
    help: 'No requests in whose path and query it is found.',
  }),
  allowHost: unset(hostGlob, 'all', {
    group,
    from,
    value: 'GLOB',
    help: 'Only requests whose host matches. The port is compared only where GLOB has one.',
  }),
  denyHost: unset(hostGlob, 'none', { group, from, value: 'GLOB', help: 'No requests whose host matches.' }),
  onlyStatus: unset(listOf(status), 'all', {
    group,
    from,
    value: '2xx,304,…',
    help: 'Only requests whose captured answer has one of these statuses or classes.',
  }),
}

/** The names that `pipeline:` takes. */
export const STEPS: ReadonlyMap<string, Field> = new Map(
  Object.entries(STEP_FIELDS).map(([key, field]) => [flagName(key), field]),
)

export const PIPELINE_FIELD = {
  pipeline: optional(pipelineKind(STEPS), [] as PipelineStep[], {
    group,
    from: 'file',
    value: 'LIST',
    help: 'The filters above as a list, in the YAML file only. Flags of this group replace it whole.',
    reason:
      'Filters are applied in their order. Equal ones side by side mean any of them; ones apart must all be passed.',
  }),
}
