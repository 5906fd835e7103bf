--@ due AS SELECT * FROM l_return_submissions WHERE UNTIL(due_on)
--@ handed AS SELECT * FROM due WHERE status IN ('submitted', 'approved', 'merged', 'published', 'archived') AND BY(submitted_on)
--= 1 应报数: due by the day
SELECT ru, org, 1 AS v FROM due
--= 2 已报数
SELECT ru, org, 1 AS v FROM handed
--= 3 按期数: handed in by the due date; one that was returned is not handed in
SELECT ru, org, 1 AS v FROM handed WHERE UNTIL(submitted_on) AND submitted_on <= due_on
--= 4 按期率 = 3 / 1
--= 5 退回数: returned at least once
SELECT ru, org, 1 AS v FROM due WHERE status = 'returned' OR returned_reason <> ''
--= 6 未报数 = 1 - 2
