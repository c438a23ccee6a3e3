/**
 * Little-endian structure layouts shared by host, chip and firmware.
 *
 * A layout is data: the C headers, the documentation tables and the TypeScript
 * encoders are all derived from the same list of fields.
 */

export type FieldType = 'u8' | 'u16' | 'u32' | 'u64';

/** One field of a structure; fields follow each other without padding. */
export interface Field {
  readonly name: string;
  readonly type: FieldType;
  /** Array length; a scalar when absent. */
  readonly count?: number;
  readonly doc: string;
}

/** A structure that crosses a boundary. */
export interface StructLayout<Name extends string = string> {
  readonly name: string;
  readonly doc: string;
  /** Total size in bytes; the fields must fill it exactly. */
  readonly size: number;
  readonly fields: readonly (Field & { readonly name: Name })[];
}

/** A field and where it lies. */
export interface PlacedField extends Field {
  readonly offset: number;
}

/** Bytes of one value of each type. */
export const FIELD_BYTES: Readonly<Record<FieldType, number>> = { u8: 1, u16: 2, u32: 4, u64: 8 };

/** Declares a layout and proves that its fields are naturally aligned and fill `size` bytes. */
export function defineStruct<const F extends readonly Field[]>(
  name: string,
  size: number,
  doc: string,
  fields: F,
): StructLayout<F[number]['name']> {
  const layout: StructLayout<F[number]['name']> = { name, size, doc, fields };
  placeFields(layout);
  return layout;
}

/** Byte offset of every field. Throws a RangeError where the declaration is inconsistent. */
export function placeFields(layout: StructLayout): readonly PlacedField[] {
  let offset = 0;
  const placed = layout.fields.map((field) => {
    const width = FIELD_BYTES[field.type];
    if (offset % width !== 0) {
      throw new RangeError(`${layout.name}.${field.name} at offset ${offset} is not aligned to ${width} bytes`);
    }
    const at = { ...field, offset };
    offset += width * (field.count ?? 1);
    return at;
  });
  if (offset !== layout.size) {
    throw new RangeError(`${layout.name} declares ${layout.size} bytes but its fields take ${offset}`);
  }
  return placed;
}

/** What a field is encoded from: a number, or one for each entry of an array. */
export type FieldValue = number | bigint | readonly (number | bigint)[];

/** Writes the named fields of `layout` at `offset` of `view`; fields that are not named become zero. */
export function encodeStruct<Name extends string>(
  layout: StructLayout<Name>,
  view: DataView,
  offset: number,
  values: Partial<Record<Name, FieldValue>>,
): void {
  for (const field of placeFields(layout)) {
    const value: FieldValue = values[field.name as Name] ?? 0;
    const items: readonly (number | bigint)[] = typeof value === 'object' ? value : [value];
    if (items.length > (field.count ?? 1)) {
      throw new RangeError(`${layout.name}.${field.name} holds ${field.count ?? 1} values, got ${items.length}`);
    }
    for (let index = 0; index < (field.count ?? 1); index++) {
      SCALARS[field.type].write(view, offset + field.offset + index * FIELD_BYTES[field.type], items[index] ?? 0);
    }
  }
}

/** Reads every scalar field of `layout` at `offset` of `view`; array fields give their first element. */
export function decodeStruct<Name extends string>(
  layout: StructLayout<Name>,
  view: DataView,
  offset: number,
): Record<Name, bigint> {
  const entries = placeFields(layout).map((field) => [
    field.name,
    SCALARS[field.type].read(view, offset + field.offset),
  ]);
  return Object.fromEntries(entries) as Record<Name, bigint>;
}

interface Scalar {
  readonly write: (view: DataView, at: number, value: number | bigint) => void;
  readonly read: (view: DataView, at: number) => bigint;
}

const SCALARS: Readonly<Record<FieldType, Scalar>> = {
  u8: { write: (view, at, value) => view.setUint8(at, Number(value)), read: (view, at) => BigInt(view.getUint8(at)) },
  u16: {
    write: (view, at, value) => view.setUint16(at, Number(value), true),
    read: (view, at) => BigInt(view.getUint16(at, true)),
  },
  u32: {
    write: (view, at, value) => view.setUint32(at, Number(value), true),
    read: (view, at) => BigInt(view.getUint32(at, true)),
  },
  u64: {
    write: (view, at, value) => view.setBigUint64(at, BigInt(value), true),
    read: (view, at) => view.getBigUint64(at, true),
  },
};
