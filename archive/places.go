package archive

import (
	"context"
	"fmt"
	"io/fs"
)

// Steps of the search for a segment: how far before a record the first list begins, by how much each next one
// begins further back, and how many names are asked for at once.
const (
	placesNear = 512
	placesGrow = 16
	placesPage = 1000
)

// placeOf returns the place of the segment that should have a record, by the names of the segments alone: the last
// that begins at or before it, of the newest term that does. It asks for the names a little before the record, and
// further back only where there are none. So it needs no list of the whole chain, which grows with the ledger,
// neither in memory nor from the store. fs.ErrNotExist where no segment begins so early; *UnavailableError where
// there is none at all: what is not mounted is empty.
func (f folder) placeOf(ctx context.Context, seq uint64) (at slot, err error) {
	for back := uint64(placesNear); ; back *= placesGrow {
		from := seq - min(back, seq-1)
		at, some, err := f.lastPlace(ctx, from, seq)
		switch {
		case err != nil || at.first > 0:
			return at, err
		case from == 1 && !some:
			return at, &UnavailableError{fmt.Errorf("%s: %w", f.path(""), errNoSegments)}
		case from == 1:
			return at, fmt.Errorf("%s has no segment that begins at or before entry %d: %w", f.path(""), seq, fs.ErrNotExist)
		}
	}
}

// lastPlace returns the last place from..to of the newest term, zero where there is none, and whether there are
// places at or behind from.
func (f folder) lastPlace(ctx context.Context, from, to uint64) (at slot, some bool, err error) {
	// ~ sorts behind whatever can follow a number in a name.
	for after := (slot{from - 1, firstTerm}).name() + "~"; ; {
		names, err := f.objects.NamesAfter(ctx, f.name, after, placesPage)
		if err != nil {
			return slot{}, some, err
		}
		for _, name := range names {
			place, ok := parseSlot(name)
			some = some || ok
			if !isSegment(name) || place.first > to {
				return at, some, nil
			}
			if at.compare(place) < 0 {
				at = place
			}
		}
		if len(names) < placesPage {
			return at, some, nil
		}
		after = names[len(names)-1]
	}
}
