/**
 * The contract with the kernel (`nbannotate/widgets/messages.py` is its other side), as types.
 * Coordinates are pixels of the upright image, origin at its top left corner, +y down.
 */
// @ts-check

/**
 * @typedef {{x: number, y: number}} Point
 * @typedef {{x: number, y: number, width: number, height: number}} Box
 *
 * @typedef {object} LabelClass
 * @property {number} id
 * @property {string} name
 * @property {string} color
 * @property {string | null} hotkey  what picks it, as `keyOf` in keys.js writes it: "1", "c"
 * @property {boolean} retired
 *
 * @typedef {{name: string, choices: LabelClass[], multiple: boolean}} TagGroup
 *
 * @typedef {object} Attribute
 * @property {string} name
 * @property {"bool" | "number" | "choice" | "text"} type
 * @property {string[]} choices
 * @property {number | null} min
 * @property {number | null} max
 * @property {number | null} step
 * @property {any} default
 * @property {string | null} hotkey
 * @property {boolean} required
 * @property {boolean} [attached]  whether a widget of the user's own is its field
 *
 * @typedef {object} Label  one label, as the store has it
 * @property {string} label_id
 * @property {string} image
 * @property {string} kind
 * @property {number | null} class_id
 * @property {number | null} x
 * @property {number | null} y
 * @property {number | null} width
 * @property {number | null} height
 * @property {Record<string, any>} attributes
 *
 * @typedef {object} Slot  one stage of the ring: an image, whose picture has a trait of its own
 * @property {string} image
 * @property {number} position  place in the walk, from 0
 * @property {number} width  of the upright image, in pixels
 * @property {number} height
 * @property {[number, number]} shown  size of the picture, in its own pixels
 * @property {number} paint  number of the picture; 0 while there is none
 * @property {string | null} error  why the image cannot be shown
 * @property {string} status
 * @property {string | null} note
 * @property {boolean} unsure
 * @property {Label[]} labels
 *
 * @typedef {object} CrispPart  a part of an image, rendered sharper than its picture
 * @property {string} image
 * @property {[number, number, number, number]} box  x, y, width, height in image pixels
 * @property {Uint8Array} bytes  the rendering, not decoded
 *
 * @typedef {object} Progress
 * @property {number} done
 * @property {number} skipped
 * @property {number} flagged
 * @property {number} total
 * @property {number | null} seconds_per_image
 *
 * @typedef {{status: string, class_id: number | null, text: string}} Filter
 *
 * @typedef {object} View
 * @property {number} position
 * @property {number} total  images in the walk, after the filter
 * @property {Filter} filter
 * @property {Progress} progress
 * @property {Record<string, number>} counts  labels of each class and tag, by id
 * @property {boolean} can_undo
 * @property {boolean} can_redo
 * @property {string | null} trouble  why the store does not take edits now
 * @property {{number: number, text: string} | null} notice  the last error; its number is
 *     when it was said, in nanoseconds since 1970
 * @property {string | null} select  label that Python asked to select
 *
 * @typedef {object} Config
 * @property {{classes: LabelClass[], tags: TagGroup[], attributes: Attribute[]}} schema
 * @property {boolean} shapes  whether shapes are drawn
 * @property {boolean} view_only
 * @property {boolean} auto_advance
 * @property {boolean} select_new  whether a new shape is selected, for its attributes
 * @property {Record<string, string>} keys  key of each action that has one
 * @property {string} store_id
 * @property {boolean} handed_out  whether the annotator gets images a few at a time
 * @property {number} smallest_side  in image pixels
 * @property {number | null} height  of the stage, in CSS pixels; null: by its width
 * @property {string} title
 *
 * @typedef {{op: "create", label_id: string, image: string, kind: string, class_id: number}
 *   & Partial<Label>} Create
 * @typedef {{op: "update", label_id: string, changes: Partial<Label>, seen?: Partial<Label>}} Update
 *   `seen`: the label as the user saw it; it is refused if someone has changed that since
 * @typedef {{op: "delete", label_id: string, seen?: Partial<Label>}} Delete
 * @typedef {{op: "image", image: string,
 *   changes: {status?: string, note?: string | null, unsure?: boolean}}} ImageChange
 * @typedef {Create | Update | Delete | ImageChange} Change
 *
 * @typedef {object} Edit
 * @property {"edit"} op
 * @property {Change[]} changes
 * @property {string} image
 * @property {number} position  of the image it was made on
 * @property {number} seconds  active time
 * @property {number | undefined} [goto]  position to go to with it
 *
 * @typedef {{op: "undo"} | {op: "redo"}} Reverse
 * @typedef {{op: "goto", position: number} | {op: "todo"} | {op: "filter", filter: Filter}
 *   | {op: "none"}} Move
 * @typedef {Edit | Reverse | Move} Message
 * @typedef {object} Conflict  why a message was refused: someone has changed the same
 * @property {string} client
 * @property {number} seq
 * @property {string} text
 * @property {string} label_id
 * @property {Label | null} theirs  as it is now; null: deleted
 *
 * @typedef {{client: string, seq: number, message: Message, conflict?: Conflict}} Pending
 *   `conflict`: it is not on its way any more; the user is to choose
 *
 * @typedef {{view: View, slots: Slot[]}} State
 */

export {};
