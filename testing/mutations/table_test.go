// Package mutations_test takes each measure against loss out, one at a time, and demands that the test
// which stands for it fails: a measure that no test misses is not held. TestRowsFit, of every test run,
// finds rows that the source has left behind; TestMutations, with -tags mutations, runs them (just mutations).
package mutations_test

// mutation is one measure taken out: old, which the file holds once, becomes new, and test, a pattern of
// the package's tests, has to fail.
type mutation struct {
	name     string
	file     string // below the root of the repository
	old, new string
	pkg      string
	test     string
	sample   bool // one of the few of every CI run
}

const (
	inStore     = "./store"
	inCommitter = "./committer"
	inSidecar   = "./sidecar"
	inTests     = "./sidecar/sidecartest"
	inArchive   = "./archive"
)

// mutations is the table. docs/RELIABILITY.md says what each measure is for.
var mutations = []mutation{
	{"Fatalf of the log returns", "store/engine.go",
		`Fatalf(format string, args ...any) { l.fatal(fmt.Sprintf(format, args...)) }`,
		`Fatalf(format string, args ...any) { l.log.Errorf(format, args...) }`,
		inStore, "TestFatalfNeverReturns|TestFailedWriteIsNeverAcknowledged", true},
	{"fail stop returns", "store/engine.go",
		`	panic("store: Options.Fatal returned after: " + msg)`, ``,
		inStore, "TestFatalfNeverReturns", false},
	{"the head file is not written", "store/append.go",
		`if err := s.head.write(c.Last(), &c.Root); err != nil {`, `if err := error(nil); err != nil {`,
		inTests, "TestLossIsNoticedByTheHeadFile", false},
	{"the head file's size is not held against the log", "committer/recover.go",
		`case known.Seq > size:`, `case false:`,
		inTests, "TestLossIsNoticedByTheHeadFile", true},
	{"the head file's root is not held against the log's", "committer/recover.go",
		`if !known.Known || known.Seq != size || size == 0 || known.Root == root {`, `if true {`,
		inTests, "TestAnotherLogIsNoticed", false},
	{"a home without a readable head file is taken as it is", "committer/recover.go",
		`case !known.Known && !c.trusting:`, `case false:`,
		inTests, "TestRecover/head_file", false},
	{"the two slots of the head file are one", "store/head.go",
		`int64(h.count%2*headSlotStride)`, `int64(0)`,
		inStore, "TestHeadFile", false},
	{"a torn slot of the head file counts", "store/head.go",
		`crc32.Checksum(b[:60], castagnoli) != binary.LittleEndian.Uint32(b[60:])`, `false`,
		inStore, "TestHeadFile", false},
	{"the mark of a discarded state is forgotten", "store/witness.go",
		`if s.readOnly || m.Size <= s.headAt.Seq`, `if true || m.Size <= s.headAt.Seq`,
		inTests, "TestRecover/state_that_knows_more", false},
	{"a damaged block is an error like any other", "store/broken.go",
		`	return &Damage{Seq: seq, Err: err}`, `	return err`,
		inTests, "TestRecover/rotten", false},
	{"a root that does not recompute at replay is taken", "committer/recover.go",
		`if root := l.frontier.Root(); root != commit.Root {`, `if root := commit.Root; root != commit.Root {`,
		inCommitter, "TestReplayJudgesTheLog", false},
	{"what breaks the rules at replay is taken", "committer/recover.go",
		`		if int(r.Accepted) != last-i {`, `		if false {`,
		inCommitter, "TestReplayJudgesTheLog", false},
	{"the number of an Epoch record is not checked", "committer/epoch.go",
		`case said.Number != l.epoch.Number+1:`, `case false:`,
		inCommitter, "TestEpochThatDoesNotFitIsLoss", false},
	{"the log id of an Epoch record is not checked", "committer/epoch.go",
		`case said.OldLogID != l.epoch.LogID:`, `case false:`,
		inCommitter, "TestEpochThatDoesNotFitIsLoss", true},
	{"the tree of an Epoch record is not checked", "committer/epoch.go",
		`case said.Cut != l.seq || said.Root != l.frontier.Root():`, `case false:`,
		inCommitter, "TestEpochThatDoesNotFitIsLoss", false},
	{"a client may write an Epoch record", "committer/epoch.go",
		`	if !l.alone {`, `	if false {`,
		inCommitter, "TestEpochFromAClient|TestEpochRefused", false},
	{"the scrub reads the caches", "store/scrub.go",
		`		err := sc.log(yield)
`, `		err := error(nil)
		for c, failed := range s.Commits(first) {
			if !yield(c, failed) {
				break
			}
		}
		_ = sc
`,
		inSidecar, "TestScrub$|TestScrubKeepsToItsRate", false},
	{"the scrub does not compute roots", "sidecar/scrubpass.go",
		`if root := p.frontier.Root(); root != merkle.Hash(c.Root) {`, `if root := p.frontier.Root(); false {`,
		inSidecar, "TestScrubComputesRoots", false},
	{"the scrub does not read the tables of the state", "sidecar/scrub.go",
		`if err := sc.store.ScrubState(read); err != nil {`, `if err := error(nil); err != nil {`,
		inSidecar, "TestScrub$", false},
	{"a damaged WAL is taken for a disk that fails", "store/scrubwal.go",
		`	if damaged {`, `	if damaged && false {`,
		inStore, "TestScrubOfTheWAL", false},
	{"the scrub holds no rows against the log", "sidecar/scrubpass.go",
		`		rows, err = p.sketch.Compare(&mark, &p.frontier, p.frozen.Rows())`, `		_ = mark`,
		inSidecar, "TestScrubComparesRows", true},
	{"a sum of rows is not compared", "committer/audit/sketch.go",
		`{"holds", s.holds != got.holds}`, `{"holds", false}`,
		"./committer/audit", "TestEveryBitOfEveryRow", false},
	{"a new database is written to before it was opened again", "store/engine.go",
		`		if err = createEngine(fsys, dir, name, o); err != nil {
			return nil, fmt.Errorf("create database %s: %w", path, err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("look for database %s: %w", path, err)
	}
	o.ErrorIfNotExists = true
`, `		err = makeDir(fsys, path)
	}
	if err != nil {
		return nil, fmt.Errorf("look for database %s: %w", path, err)
	}
`,
		inStore, "TestFirstWALTellsDamageFromItsEnd", false},
	{"the format of the WAL cannot tell damage from its end", "store/engine.go",
		`pebble.FormatNewest,`, `pebble.FormatWALSyncChunks - 1,`,
		inStore, "TestFirstWALTellsDamageFromItsEnd", false},
	{"a failing WAL is not met outside of a commit", "store/guard.go",
		`	g.armed.Store(true)
`, ``,
		inStore, "TestFailingDiskAtTheEnd", false},
	{"an opening state tries for ever", "store/state.go",
		`s.state.opening.Load() > 0 && s.state.opening.Add(-1) == 0`, `s.state.opening.Load() > 0 && false`,
		inStore, "TestFailingDiskAtTheStart", false},
	{"the directory is not synced before a marker is made", "store/guard.go",
		`		if err := syncDir(g.FS, g.FS.PathDir(name)); err != nil {`, `		if err := error(nil); err != nil {`,
		inTests, "TestFaultsCrashAtEveryOperation", false},
	{"a directory behind a marker may fail", "store/guard.go",
		`err != nil && (marked || f.guard.armed.Load() || f.guard.late.Load()) {`, `err != nil && (marked && false || f.guard.armed.Load() || f.guard.late.Load()) {`,
		inTests, "TestFaultsAtEveryOperation", false},
	{"a log is cut without reading what is kept", "store/prune.go",
		`	if err := s.readSeam(cut); err != nil {
		return err
	}
	s.tailMu.Lock()`, `	s.tailMu.Lock()`,
		inStore, "TestPruneOfAColdLog", false},
	{"a cut is begun before another is finished", "store/cut.go",
		`	if err := finishCut(o.plainFS(), o.Dir); err != nil { // of one that a crash has met`, `	if err := error(nil); err != nil {`,
		inStore, "TestCutCrash", false},
	{"a half cut is not read", "store/cut.go",
		`range []string{logDirName, cutReadyName} {`, `range []string{logDirName} {`,
		inStore, "TestCutCrash", false},
	{"another node key replaces the verifier key", "sidecar/nodekey.go",
		`err == nil && keyIn(known) != keyIn(line) {`, `err == nil && false {`,
		inSidecar, "TestAnotherNodeKey", true},
	{"the sum of a keyring is not checked", "peercred/capability/keyring.go",
		`if summed = true; line != ring.sum() {`, `if summed = true; false {`,
		"./peercred/capability", "TestKeyringSum", false},
	{"the signature on our own certificate is not checked", "sidecar/tls.go",
		`			continue // its signer is elsewhere
		}
`, `		}
		continue
`,
		inSidecar, "TestRotOfKeys", false},
	{"a connection does not wait for those that its peer has closed", "sidecar/sessions.go",
		`		if !peercred.HungUp(c.conn) {`, `		if true {`,
		inTests, "TestNothingIsJudgedBehindARejection", false},
	{"a certificate may change under its signature", "sidecar/certwitness.go",
		`		if signed != signature {`, `		if signed != signature && false {`,
		inSidecar, "TestRotOfOtherSigners", false},
	{"the sum of a list of revocations is not checked", "peercred/capability/revocations.go",
		`	if strings.Join(fields, " ") != r.sum() {`, `	if false {`,
		"./peercred/capability", "TestRevocationsSum", false},
	{"a pruned snapshot begins an epoch that cannot be archived", "sidecar/restore.go",
		`		if m.First > 1 && !o.SameEpoch && !o.Unarchived {`, `		if false {`,
		inTests, "TestRetention", false},
	{"what is read back from the archive is not held against its leaf", "archive/bodies.go",
		`b.options.Hash.Leaf(r.Bytes) == leaf && r.TimeMs`, `(leaf != merkle.Hash{} || true) && r.TimeMs`,
		inArchive, "TestBodiesDamage", true},
	{"the time of what is read from the archive is not held against the ledger's", "archive/bodies.go",
		`== leaf && r.TimeMs == c.commit.TimeMs {`, `== leaf {`,
		inArchive, "TestBodiesDamage", false},
	{"any number of reads may wait for the archive", "archive/bodies.go",
		`	case b.waiting >= waitersMax:`, `	case false:`,
		inArchive, "TestBodiesTogether", false},
	{"the cache of segments keeps everything", "archive/unpacked.go",
		`	for s.bytes += u.bytes(); s.bytes > s.limit && len(s.sorted) > 1; {`, `	for s.bytes += u.bytes(); false; {`,
		inArchive, "TestBodies$", false},
	{"a segment replaces what is at its place", "archive/objects.go",
		`	_, err = f.objects.Put(ctx, f.key(name), b, "")
`, `	_, version, _ := f.objects.Read(ctx, f.key(name), limit)
	_, err = f.objects.Put(ctx, f.key(name), b, version)
`,
		inArchive, "TestTakeOver$|TestSecondWriter", true},
	{"the head replaces that of another", "archive/settle.go",
		`	version, err := w.folder.objects.Put(ctx, w.folder.key(headName), signed, w.version)
`, `	_, w.version, _ = w.folder.head(ctx)
	version, err := w.folder.objects.Put(ctx, w.folder.key(headName), signed, w.version)
`,
		inArchive, "TestHeadOfAnother", false},
	{"a bucket is written though something is there", "archive/bucket/bucket.go",
		`		input.IfNoneMatch = aws.String("*")`, `		input.IfNoneMatch = nil`,
		"./archive/bucket", "TestObjects", false},
	{"a bucket is written though it has changed", "archive/bucket/bucket.go",
		`		input.IfMatch = &version`, `		input.IfMatch = nil`,
		"./archive/bucket", "TestObjects", false},
	{"a store that ignores conditions is taken", "archive/bucket/bucket.go",
		`		if err == nil {
			return fmt.Errorf("write %s: the store has replaced`, `		if false {
			return fmt.Errorf("write %s: the store has replaced`,
		"./archive/bucket", "TestUnconditional", false},
	{"a commit is acknowledged before its upload", "sidecar/archivesync.go",
		`	y.durable.Store(size)
`, `	y.durable.Store(size)
	y.release(size)
`,
		inTests, "TestArchiveDown", false},
	{"the gate in front of the answers is open", "committer/release.go",
		`	for size > g.released && g.refusal == 0 {`, `	for false {`,
		inCommitter, "TestHeldBack$", true},
	{"a term that another has begun is taken for one's own", "archive/resume.go",
		`	if s.Term > w.term {
		return w.fenced(s.Term, head.Size)`, `	if false {
		return w.fenced(s.Term, head.Size)`,
		inArchive, "TestTakeOver$", false},
	{"the term of the head is not looked at", "archive/resume.go",
		`	if head.Term > w.term {`, `	if false {`,
		inArchive, "TestTakeOver$|TestFencedSays", false},
	{"a place that a higher term has taken fences nobody", "archive/uploads.go",
		`errors.As(err, &taken) && taken.segment.Term > w.term {`, `errors.As(err, &taken) && false {`,
		inArchive, "TestTakeOver$", false},
	{"a segment counts before those in front of it", "archive/uploads.go",
		`	for len(w.pending) > 0 && w.pending[0].stored {
`, `	for len(w.pending) > 0 && u.stored {
`,
		inArchive, "TestGaps", true},
	{"a run writes on in the term of the one before", "archive/renew.go",
		`	if w.options.Renew && !w.inOwnTerm() {`, `	if false {`,
		inArchive, "TestGaps", false},
	{"several uploads begin where one of an earlier run may arrive", "archive/uploads.go",
		`	if !w.own {
		return 1`, `	if false {
		return 1`,
		inArchive, "TestOneAlone", false},
	{"what lies behind a gap is taken for the chain", "archive/reader.go",
		`	sure := max(len(listed)-len(later), len(listed)-tailMax, 0)`, `	sure := len(listed) + 0*tailMax*len(later)`,
		inArchive, "TestGaps", false},
	{"a claim is not kept before its fence is sent", "archive/renew.go",
		`		if err := w.options.Hold(w.term, claim); err != nil {`, `		if err := error(nil); err != nil {`,
		inArchive, "TestRenewKilled", false},
	{"two who take over make the same fence", "archive/takeover.go",
		`		rand.Read(r.claim[:])`, `		r.claim[0] = 1
		_ = rand.Reader`,
		inArchive, "TestTwoTakeOver", false},
	{"an archive is adopted without ending the term", "sidecar/adopt.go",
		`		term, err = a.reader.TakeOver(ctx, signer, successor)`, `		term, err = a.reader.Head().Term, nil`,
		inTests, "TestAdopt$", false},
	{"who takes over does not ask again whether nothing can be missing", "archive/takeover.go",
		`	r.head.Sync = head.Sync
`, `	_ = head
`,
		inArchive, "TestLeavingSync", false},
	{"who leaves sync does not look for a fence", "sidecar/archiver.go",
		`		if err := a.writer.Confirm(starting); err != nil {`, `		if err := error(nil); err != nil {`,
		inTests, "TestLeavingSyncBesideATakeOver", false},
	{"a home forgets the term that it holds", "sidecar/adopt.go",
		`return a.home.holdTerm(heldTerm{term: term, sync: true, unused: true})`, `return nil`,
		inTests, "TestAdopt$", false},
}
