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
// further back only where there are few. So it needs no list of the whole chain, which grows with the ledger,
// neither in memory nor from the store. fs.ErrNotExist where no segment begins so early; *UnavailableError where
// there is none at all: what is not mounted is empty.
func (f folder) placeOf(ctx context.Context, seq uint64) (at slot, err error) {
	for back := uint64(placesNear); ; back *= placesGrow {
		from := seq - min(back, seq-1)
		found, err := f.lastPlace(ctx, from, seq)
		switch {
		case err != nil:
			return slot{}, err
		case found.last.first > 0 && (found.sure || from == 1):
			return found.last, nil
		case from == 1 && !found.some:
			return slot{}, &UnavailableError{fmt.Errorf("%s: %w", f.path(""), errNoSegments)}
		case from == 1:
			return slot{}, fmt.Errorf("%s has no segment that begins at or before entry %d: %w", f.path(""), seq, fs.ErrNotExist)
		}
	}
}

// foundPlaces is what the names from..to say.
type foundPlaces struct {
	last slot // of the newest term there; zero where there is none
	some bool // there are places at or behind from
	// sure: no term that is newer than that of last begins before from and covers it. Then all of its term, and of those before,
	// that is between would lie behind a gap, and of no term is that UploadsMax places.
	sure bool
}

// lastPlace looks for the last place from..to of the newest term.
func (f folder) lastPlace(ctx context.Context, from, to uint64) (found foundPlaces, err error) {
	count := map[uint64]int{} // places of each term
	// ~ sorts behind whatever can follow a number in a name.
	for after := (slot{from - 1, firstTerm}).name() + "~"; ; {
		names, err := f.objects.NamesAfter(ctx, f.name, after, placesPage)
		if err != nil {
			return found, err
		}
		for _, name := range names {
			place, ok := parseSlot(name)
			found.some = found.some || ok
			if !isSegment(name) || place.first > to {
				return found, nil
			}
			if found.last.compare(place) < 0 {
				found.last = place
			}
			count[place.term]++
			found.sure = found.sure || count[place.term] >= UploadsMax
		}
		if len(names) < placesPage {
			return found, nil
		}
		after = names[len(names)-1]
	}
}
