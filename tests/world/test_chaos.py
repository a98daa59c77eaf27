"""One drawn life of a real cluster; `chaos` plays many. CHAOS_SEED names another one than the one that is always played here."""

import os
import unittest

import courses


class Chaos(unittest.TestCase):
    def test_a_drawn_life_loses_nothing_but_what_holes_name(self):
        seed = int(os.environ.get("CHAOS_SEED", "100"))
        with courses.Life(seed) as life:
            print(f"life {seed}: {life.play()}")

    def test_courses_are_drawn_from_the_seed_alone_and_leave_one_worker_well(self):
        kinds = set()
        for seed in range(300):
            course = courses.course_of(seed)
            self.assertEqual(course, courses.course_of(seed))
            self.assertNotIn(courses.WORKERS[0], {fault.subject for fault in course})
            self.assertTrue(all(courses.FAULTS_BEGIN <= fault.begin < fault.end <= courses.FAULTS_END for fault in course), course)
            kinds |= {(fault.kind, fault.subject) for fault in course}
        self.assertEqual(len(kinds), 2 * len(courses.WORKER_KINDS) + len(courses.MASTER_KINDS) + 2, sorted(kinds))


if __name__ == "__main__":
    unittest.main()
