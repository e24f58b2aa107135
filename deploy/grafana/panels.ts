/** Panels of a dashboard as Grafana's library makes them, in the few forms that this one uses. */

import { PanelBuilder as BarGauge } from '@grafana/grafana-foundation-sdk/bargauge'
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog'
import {
  BarGaugeDisplayMode,
  BigValueColorMode,
  BigValueGraphMode,
  type DataSourceRef,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import {
  DashboardLinkBuilder,
  DashboardLinkType,
  type Panel,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as Stat } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TimeSeries } from '@grafana/grafana-foundation-sdk/timeseries'

/** Of 24 columns. */
const STAT_WIDTH = 4
const STAT_HEIGHT = 4
const GRAPH_HEIGHT = 8
/** Of the fill below a line, percent. */
const FILL = 10
const FILL_STACKED = 40

export const PROMETHEUS: DataSourceRef = { type: 'prometheus', uid: `\${datasource}` }

/** From which value on a panel turns yellow and red. */
export interface Thresholds {
  readonly warn?: number
  readonly bad: number
  /** Bad is what lies below. */
  readonly isFloor?: boolean
}

export interface PanelOrder {
  readonly title: string
  /** What it shows, when to worry, what to do. */
  readonly description: string
  readonly unit: string
  /** Expression and legend. */
  readonly queries: readonly (readonly [expr: string, legend: string])[]
  readonly thresholds?: Thresholds
  readonly decimals?: number
  /** A page of docs/ with its place. */
  readonly docs?: string
}

export interface GraphOrder extends PanelOrder {
  /** Columns; 8 by default. */
  readonly width?: number
  readonly isStacked?: boolean
  readonly max?: number
}

/** One number, with its course behind it. */
export function stat(order: PanelOrder): Builder<Panel> {
  const panel = new Stat()
    .height(STAT_HEIGHT)
    .span(STAT_WIDTH)
    .graphMode(BigValueGraphMode.Area)
    .colorMode(BigValueColorMode.Value)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
  return dressed(panel, order)
}

export function graph(order: GraphOrder): Builder<Panel> {
  const { width = 8, isStacked = false, max, thresholds } = order
  const panel = new TimeSeries()
    .height(GRAPH_HEIGHT)
    .span(width)
    .min(0)
    .lineWidth(1)
    .fillOpacity(isStacked ? FILL_STACKED : FILL)
    .stacking(new StackingConfigBuilder().mode(isStacked ? StackingMode.Normal : StackingMode.None))
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .showLegend(true),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
  if (max !== undefined) panel.max(max)
  if (thresholds !== undefined)
    panel.thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed))
  return dressed(panel, order)
}

/** A bar for each series, as it stands now. */
export function bars(order: GraphOrder): Builder<Panel> {
  const { width = 8, max } = order
  const panel = new BarGauge()
    .height(GRAPH_HEIGHT)
    .span(width)
    .min(0)
    .orientation(VizOrientation.Horizontal)
    .displayMode(BarGaugeDisplayMode.Basic)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
  if (max !== undefined) panel.max(max)
  return dressed(panel, order)
}

function dressed<P extends Stat | TimeSeries | BarGauge>(panel: P, order: PanelOrder): P {
  const { title, description, unit, queries, thresholds, decimals, docs } = order
  panel.title(title).description(description).unit(unit).datasource(PROMETHEUS).targets(queries.map(query))
  if (thresholds !== undefined) panel.thresholds(thresholdsOf(thresholds))
  if (decimals !== undefined) panel.decimals(decimals)
  if (docs !== undefined) panel.links([docsLink('What to do', docs)])
  return panel
}

/** Opens a page of docs/ beside the dashboard. @param page with its place, such as `operations.md#memory` */
export function docsLink(title: string, page: string): DashboardLinkBuilder {
  return new DashboardLinkBuilder(title)
    .type(DashboardLinkType.Link)
    .icon('doc')
    .url(`\${docs}/${page}`)
    .targetBlank(true)
}

function query([expr, legend]: readonly [string, string], i: number): Builder<Dataquery> {
  return new DataqueryBuilder()
    .refId(String.fromCharCode('A'.charCodeAt(0) + i))
    .datasource(PROMETHEUS)
    .expr(expr)
    .legendFormat(legend)
    .range()
}

function thresholdsOf({ warn, bad, isFloor = false }: Thresholds): ThresholdsConfigBuilder {
  const steps = isFloor
    ? [
        { value: null, color: 'red' },
        ...(warn === undefined ? [] : [{ value: bad, color: 'yellow' }]),
        { value: warn ?? bad, color: 'green' },
      ]
    : [
        { value: null, color: 'green' },
        ...(warn === undefined ? [] : [{ value: warn, color: 'yellow' }]),
        { value: bad, color: 'red' },
      ]
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps)
}
