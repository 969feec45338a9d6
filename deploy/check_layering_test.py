#!/usr/bin/env python3
"""The layering check finds an include that climbs, and leaves sound ones alone."""

import pathlib
import tempfile
import unittest

import check_layering


class LayeringTest(unittest.TestCase):
    def complaints(self, path, *lines):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, path)
            file.parent.mkdir(parents=True)
            file.write_text("\n".join(lines) + "\n")
            return check_layering.check_file(pathlib.Path(folder), file)

    def test_an_include_that_climbs_is_named_with_its_line_and_the_rule(self):
        found = self.complaints("runtime/base/file.cc", '#include "runtime/base/file.h"', "",
                                '#include "trainer/loop/loop.h"')
        self.assertEqual(found, ['runtime/base/file.cc:3: #include "trainer/loop/loop.h": '
                                 "trainer/loop is not below runtime/base"])

    def test_neighbours_that_do_not_know_each_other(self):
        self.assertTrue(self.complaints("runtime/kernels/a.cc", '#include "runtime/comm/b.h"'))
        self.assertTrue(self.complaints("runtime/formats/a.cc", '#include "runtime/text/b.h"'))
        self.assertTrue(self.complaints("coordinator/server/a.cc", '#include "trainer/loop/b.h"'))

    def test_downward_includes_pass(self):
        for path, header in [("trainer/main.cc", "trainer/loop/loop.h"),
                             ("trainer/loop/loop.cc", "runtime/base/error.h"),
                             ("trainer/model/llama.cc", "parallel/engine/unit.h"),
                             ("runtime/text/tokenizer.cc", "runtime/formats/gguf.h"),
                             ("runtime/telemetry/events.cc", "proto/event.pb.h"),
                             ("tests/runtime/base/file_test.cc", "trainer/loop/loop.h")]:
            self.assertEqual(self.complaints(path, f'#include "{header}"'), [], path)

    def test_libtorch_stays_out_of_what_builds_without_it(self):
        for header in ("<ATen/ATen.h>", '"torch/torch.h"', "<c10/util/Half.h>"):
            self.assertTrue(self.complaints("runtime/formats/a.h", f"#include {header}"), header)
            self.assertEqual(self.complaints("runtime/kernels/a.h", f"#include {header}"), [])

    def test_relative_and_unmapped_paths_are_errors(self):
        self.assertTrue(self.complaints("runtime/text/a.cc", '#include "../formats/gguf.h"'))
        self.assertTrue(self.complaints("runtime/surprise/a.cc", '#include "runtime/base/error.h"'))
        self.assertTrue(self.complaints("runtime/base/a.cc", '#include "tests/golden/a.h"'))

    def test_the_map_has_no_cycle(self):
        for folder, below in check_layering.BELOW.items():
            for name in below:
                self.assertNotIn(folder, check_layering.reachable(name))


if __name__ == "__main__":
    unittest.main()
