/** Every kind of step with the function that runs it. */
import { FAULT_STEPS } from './fault-steps.js';
import { GRAPH_STEPS } from './graph-steps.js';
import { ORDER_STEPS } from './order-steps.js';
import { PEER_STEPS } from './peer-steps.js';
import type { StepKind, StepOf } from './step.js';
import { WORK_STEPS } from './work-steps.js';
import type { World } from './world.js';

type Run = { readonly [K in StepKind]: (world: World, step: StepOf<K>, what: string) => unknown };

export const RUN: Run = { ...WORK_STEPS, ...ORDER_STEPS, ...GRAPH_STEPS, ...FAULT_STEPS, ...PEER_STEPS };
